"""
`milter-manager-logtool`: looks at logs by hand with the exporter's own eyes.

Every number comes from the daemon's own grammar, catalogue and counters, so that the two agree.
`cli` picks the subcommand; each is a module of its own: `explain`, `check`, `summary`, `backfill`
and `messages`.  `sources` hands them files as chunks of lines, `terminal` is where words go.
Nothing here follows a log, serves metrics or writes the daemon's state.
"""
