"""Descendant processes, which may end while they are inspected: Ray ends workers on its own."""

import psutil


def command_of(process: psutil.Process) -> str:
    """Its command line; empty if it has ended, reaped or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def commands() -> dict[psutil.Process, str]:
    """Every descendant process, with its command line."""
    return {process: command_of(process) for process in psutil.Process().children(recursive=True)}
