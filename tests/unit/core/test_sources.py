"""Layers of settings: how they are named, read and put together."""

from clipper.core.sources import Given, did_you_mean, from_environment, from_flags, overlay

KINDS = {"port": int, "delay_s": float, "name": str, "on": bool}


def test_the_nearest_name_is_offered_as_it_is_written_here() -> None:
    assert did_you_mean("prot", {"port": "--port", "name": "--name"}) == "Did you mean --port?"


def test_where_nothing_is_near_everything_is_offered() -> None:
    assert did_you_mean("xyz", {"port": "--port", "name": "--name"}) == (
        "The choices are: --name, --port."
    )


def test_texts_become_what_the_setting_is() -> None:
    layer = from_flags({"port": "1", "delay_s": "0.5", "name": "1", "on": "yes"}, KINDS)
    assert {key: given.value for key, given in layer.items()} == {
        "port": 1,
        "delay_s": 0.5,
        "name": "1",
        "on": True,
    }


def test_a_text_that_stands_for_nothing_is_left_for_the_validation_to_name() -> None:
    layer = from_environment({"CLIPPER_PORT": "1x", "CLIPPER_ON": "perhaps"}, KINDS)
    assert layer == {"port": Given("1x", "CLIPPER_PORT"), "on": Given("perhaps", "CLIPPER_ON")}


def test_the_later_layer_wins() -> None:
    first = {"port": Given(1, "first"), "name": Given("a", "first")}
    second = {"port": Given(2, "second")}
    assert overlay([first, second]) == {"port": Given(2, "second"), "name": Given("a", "first")}


def test_a_token_of_a_later_layer_replaces_the_file_of_an_earlier_one() -> None:
    first = {"admin_token_file": Given("f", "first")}
    second = {"admin_token": Given("t", "second")}
    assert overlay([first, second]) == second
