"""What a deployment says of its model, from the environment."""

from clipper_container.options import Options, read_options


def test_options_are_the_managers_variables() -> None:
    environment = {"CLIPPER_CONTAINER_OUTPUT": "scores", "CLIPPER_CONTAINER_CODE": "net.py:Net"}
    assert read_options(environment) == Options(output="scores", code="net.py:Net")
    assert read_options({"OUTPUT": "scores"}) == Options()
