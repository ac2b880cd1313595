"""`anomaly watch`: a source that goes on (a folder, a growing file, a camera, rows over HTTP), judged as it comes.

    rows, folder, frames, push   where new data comes from: each makes a `Step` of the next piece, or has none yet
    judge                        scores a lot, with what came before it, and lays out what is to be kept
    ledger                       keeps findings, cursor and alerts in one transaction, so that a crash neither doubles
                                 nor loses any
    alerts                       sends what the outbox holds
    loop                         goes round: next step, keep, tell, wait

Knows stores, detectors by their interface and files; no language models and no pages.
"""
