"""What all end-to-end tests share: one instance for each file, its end checked for leaks."""

import os

import pytest

import harness


@pytest.fixture(scope="session")
def image_tar(tmp_path_factory):
    """The root filesystem that every test's image is made of."""
    return harness.busybox_tar(tmp_path_factory.mktemp("image") / "busybox.tar")


@pytest.fixture(scope="session", autouse=True)
def nobody_stays():
    """Who is still there when the last test is done goes, with all that is its own."""
    yield
    for instance in list(harness.ALIVE):
        instance.destroy()


# These wait for longest: who comes to the end with one of them waits alone.
FIRST = ["test_daemons.py", "test_clients.py", "test_services.py"]


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.name
        return FIRST.index(name) if name in FIRST else len(FIRST)

    items.sort(key=place)


def is_worker(config):
    """Whether this process runs tests for another one (`-n`)."""
    return hasattr(config, "workerinput")


def pytest_sessionstart(session):
    """With ROADSTEAD_E2E_ALONE, nothing else makes containers here: the whole host is compared, once for all workers."""
    if os.environ.get("ROADSTEAD_E2E_ALONE") and not is_worker(session.config):
        session.config.host_before = harness.host_objects()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    before = getattr(session.config, "host_before", None)
    if before is None:
        return
    try:
        harness.until(lambda: harness.host_objects() == before, what=WholeHost(before))
    except AssertionError as error:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.host_differs = str(error)


def pytest_terminal_summary(terminalreporter, config):
    if differs := getattr(config, "host_differs", None):
        terminalreporter.section("left behind", red=True)
        terminalreporter.write_line(differs)


class WholeHost:
    """Says what came and went, should it come to that."""

    def __init__(self, before):
        self.before = before

    def __str__(self):
        after = harness.host_objects()
        came, gone = sorted(after - self.before), sorted(self.before - after)
        return "\n".join(["the host as it was; came:", *came, "gone:", *gone])


@pytest.fixture(scope="module")
def fresh(image_tar):
    """Makes instances with the test image; all are gone, and have left nothing, when the file is done."""
    made = []

    def make(config=None, start=True, **options):
        instance = harness.Roadstead(config, **options)
        made.append(instance)
        instance.load_image(image_tar)
        return instance.up() if start else instance

    yield make
    problems = []
    for instance in made:
        try:
            instance.destroy()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def roadstead(fresh):
    """The file's own running instance."""
    return fresh()


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """A clock for the programs that are started with its environment."""
    return harness.Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def service(roadstead):
    """Makes a service; it is deleted when the test is done."""
    made = []

    def make(name, definition, desired=1, **members):
        made.append(name)
        roadstead.ecs.create_service(
            cluster=harness.CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=desired, **members)
        return name

    yield make
    roadstead.delete_services(made)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for instance in harness.ALIVE:
            report.sections.append((f"log of {instance.data}", instance.log_tail()))
