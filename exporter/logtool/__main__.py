"""
The command `milter-manager-logtool`, and `python -m exporter.logtool`.
"""

import signal


def main() -> int:
    """
    Run the tool; an interrupt while it is being imported ends it as it ends any program.
    """
    raising = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raising:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from exporter.logtool import cli  # noqa: PLC0415 - see above

    if raising:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
