"""Says what this machine has and lacks for a profile, a line each: `python -m entrypoints.doctor --profile paper`."""

import sys

try:
    from entrypoints.command import main
    from wbc.config import DoctorConfig
except ImportError as missing:  # a bare Python, one that is too old, or an environment that is not whole
    print(f"wrong  Python    {sys.executable}: {missing} -> make setup")
    sys.exit(2)


def doctor(options: DoctorConfig) -> None:
    """Prints status, finding and remedy of each check; or each fault of the store with its repair.

    Raises:
        WbcError: something that the profile's runs need is wrong.
    """
    from wbc.errors import WbcError

    if options.store:
        from wbc.store_check import find_faults

        faults = 0
        for line in find_faults():
            print(line, flush=True)
            faults += 1
        if faults:
            raise WbcError(f"{faults} faults in the store: each line above ends with the command that repairs it.")
        print("every complete run of the store is whole")
        return
    from wbc.doctor import examine

    wrong = []
    for name, finding in examine(options):
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        print(f"{finding.status:5}  {name:8}  {finding.found}{remedy}", flush=True)
        if finding.status == "wrong":
            wrong.append(name)
    if wrong:
        raise WbcError(f"profile {options.profile} cannot run here as it is: see {', '.join(wrong)} above.")


if __name__ == "__main__":
    main(DoctorConfig, doctor)
