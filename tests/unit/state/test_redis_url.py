"""What a Redis URL may say."""

import pytest

from clipper.core.errors import SettingsError
from clipper.state.redis_url import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h", "redis://h"),
        ("redis://h:6380/15", "redis://h:6380/15"),
        ("redis://:s3cret@h", "redis://h"),
        ("redis://ada:s3cr%40et@h/0", "redis://ada@h/0"),
        ("rediss://h/?ssl_ca_certs=/ca.pem&ssl_check_hostname=no", "rediss://h/"),
    ],
)
def test_it_is_shown_without_password_and_options(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "redis://"),
        ("redis:///0", "no host"),
        ("redis://:s3cret#x@h", "port"),
        ("redis://:s3/cret@h", "port"),
        ("redis://h:s3cret", "port"),
        ("redis://h:99999", "port"),
        ("redis://h/live", "'/live' is no number"),
        ("redis://h/1/2", "is no number"),
        ("redis://h?password=s3cret", "unknown options: password"),
        ("redis://h?ssl_cert_reqs=none", "unknown options: ssl_cert_reqs"),
        ("rediss://h?socket_timeout=s3cret", "option"),
        ("rediss://h?ssl_check_hostname=no&db=x", "unknown options: db"),
    ],
)
def test_what_redis_would_ignore_or_stumble_over_is_refused(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        without_password(url)
    assert "s3" not in caught.value.message
    assert "redis://" in caught.value.hint
