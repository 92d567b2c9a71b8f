"""Looks for copies, doubtful labels and poor images: `python -m entrypoints.audit --domains bccd,tecom`."""

from entrypoints.command import main
from wbc.config import AuditConfig


def audit(options: AuditConfig) -> None:
    """Writes the audit and prints how many findings of each kind there are, and where its page is."""
    from wbc.audit.audit import write_audit

    folder, lines = write_audit(options)
    print(*lines, folder / "audit.html", sep="\n")


if __name__ == "__main__":
    main(AuditConfig, audit)
