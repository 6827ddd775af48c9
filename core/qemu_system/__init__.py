"""QEMU's command line and manners for a Southbridge machine: the programs `southbridge-system-*`.

An option is a line of a table (`options`), a file for each family of options. Parsers write to a `Draft`; `translate`
makes a machine description of it, which `--dump-description` prints and `run` builds and runs.
"""
