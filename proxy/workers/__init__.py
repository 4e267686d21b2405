"""Several worker processes behind one admin port.

The supervisor reads the table, resolves and checks the targets, and serves the admin port; workers forward. Each worker
binds the listener ports for itself (SO_REUSEPORT), so the kernel spreads connections over them.

    supervisor                                   worker
    spawn, "start" with table and targets   ->   builds, serves, answers
    "stage" to all, then "commit" or "abandon"   a table reaches all workers or none
    "targets" when health or members change ->   the same health everywhere
    "report" before a scrape and now and then    counts, and requests to learn names from; those of the dead count on
    "names" when transactions got other names    the same names everywhere
    "workload" when somebody asks                what transactions cost
    "tail" while somebody looks on          ->   a sample of the requests since the last one
    channel closed                          ->   drains and ends
"""
