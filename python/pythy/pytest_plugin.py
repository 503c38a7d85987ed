"""The pytest plugin: hooks alone. What they do is in pythy._pytest, of which nothing is imported while no
mode is active."""

from __future__ import annotations

import pytest

from pythy._pytest import mode, options


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config):
    # Before capturing starts, and before anybody's conftest.py runs.
    if mode.must_restart(early_config):
        from pythy._pytest import restart

        restart.under_valgrind(early_config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    options.add_markers(config)
    if mode.of(config) is not None:
        from pythy._pytest import activation

        activation.activate(config)
    elif config.option.pythy_report and mode.is_left_open(config):
        text = "--pythy-report writes nothing where nothing is checked: --pythy=isolated checks"
        config.issue_config_time_warning(pytest.PytestConfigWarning(text), stacklevel=2)


@pytest.fixture
def pythy_interface():
    """A factory of interfaces that are closed when the test is over: it takes what create_interface takes."""
    from pythy._pytest import fixtures

    yield from fixtures.interfaces()


@pytest.fixture
def pythy_report(request: pytest.FixtureRequest):
    """A function: the report on what this test has done so far."""
    from pythy._pytest import fixtures

    return fixtures.report(request)
