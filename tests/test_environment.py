from wbc.environment import describe_environment


def test_environment_names_versions_commit_and_hardware() -> None:
    described = describe_environment()
    assert described["libraries"]["torch"].startswith("2.13")
    assert described["cores"] >= 1
    assert described["processor"]
