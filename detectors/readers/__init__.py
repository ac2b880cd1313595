"""How sources are read: image files, data files, and the meaning of columns. Use it through `detectors.data`."""
