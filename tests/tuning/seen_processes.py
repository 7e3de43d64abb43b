"""Processes below this one, which may end while they are looked at: Ray ends workers of its own accord."""

import psutil


def command_of(process: psutil.Process) -> str:
    """Its command line; empty where it has ended, reaped or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def commands() -> dict[psutil.Process, str]:
    """Every process below this one, with its command line."""
    return {process: command_of(process) for process in psutil.Process().children(recursive=True)}
