"""The computing process beside the viewer.

All networks run in it: the viewer's process never loads torch, so the interface stays free however busy the processor is,
and a crash of the computation costs one sentence. `Engine` is the process seen from the viewer, `Run` one piece of work in
it, `codec` what travels between the two, `serve` its own side.
"""
