"""What is wrong with the settings is said at boot."""

from iot_platform.checks import no_older_names, separate_processes_share_redis


def test_separate_processes_without_redis_do_not_start(settings):
    settings.EMBEDDED, settings.REDIS_URL = False, ""
    (error,) = separate_processes_share_redis()
    assert error.is_serious() and "REDIS_URL" in error.hint


def test_one_process_needs_no_redis(settings):
    settings.EMBEDDED, settings.REDIS_URL = True, ""
    assert separate_processes_share_redis() == []


def test_a_setting_of_another_name_is_pointed_to_ours(monkeypatch):
    monkeypatch.setenv("JWT_SECRET", "x")
    assert [(warning.msg, warning.hint) for warning in no_older_names()] == [
        ("JWT_SECRET is set, and nothing reads it.", "Use JWT_SIGNING_KEY.")
    ]
