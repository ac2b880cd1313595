"""What differs between a sample as observed and as expected, in numbers: one module a modality.

Descriptors are measured, never judged: which kind of anomaly they speak for is said elsewhere. Knows arrays; not
models, thresholds or files.
"""
