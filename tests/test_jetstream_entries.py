"""natsroute.daemon.settings.jetstream_entries"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.jetstream_entries import ConsumerEntry, ReplayEntry, StreamEntry
from natsroute.errors import SettingError
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig


class StreamEntryTests(SynchronousTestCase):
    """``jetstream_stream``."""

    def test_all_options(self) -> None:
        entry = StreamEntry.parse(
            "calls=>subjects=calls.> cdr.*;storage=memory;replicas=3;retention=workqueue;discard=new;max_age=7d;"
            "max_msgs=1000;max_bytes=2GiB;max_msg_size=4096;max_msgs_per_subject=-1;duplicate_window=500ms;"
            "allow_direct=1;allow_msg_ttl=0;allow_atomic=1;allow_msg_schedules=1;"
        )
        self.assertEqual(
            entry.config,
            StreamConfig(
                name="calls",
                subjects=("calls.>", "cdr.*"),
                storage="memory",
                num_replicas=3,
                retention="workqueue",
                discard="new",
                max_age=604_800.0,
                max_msgs=1000,
                max_bytes=2 << 30,
                max_msg_size=4096,
                max_msgs_per_subject=-1,
                duplicate_window=0.5,
                allow_direct=True,
                allow_msg_ttl=False,
                allow_atomic=True,
                allow_msg_schedules=True,
            ),
        )
        self.assertEqual(str(entry), "calls")

    def test_name_alone(self) -> None:
        for text in ("calls", " calls ", "calls=>", "calls => ; "):
            self.assertEqual(StreamEntry.parse(text).config, StreamConfig(name="calls"))

    def test_white_space(self) -> None:
        entry = StreamEntry.parse("calls => subjects = a  b ; max_age = 1m ;")
        self.assertEqual(entry.config, StreamConfig(name="calls", subjects=("a", "b"), max_age=60.0))

    def test_malformed(self) -> None:
        """Each error has the whole entry, the problem and what to write."""
        for text, problem, remedy in (
            ("", "'' is not a name", "NAME=>subjects="),
            ("a.b", "'a.b' is not a name", "NAME=>subjects="),
            ("a b=>max_age=1", "'a b' is not a name", "NAME=>subjects="),
            ("calls=>max_age", "the option 'max_age' has no value", "NAME=>subjects="),
            ("calls=>max_agee=1", "there is no option 'max_agee'", "Did you mean max_age?"),
            ("calls=>x=1", "there is no option 'x'", "Options are: subjects, storage"),
            ("calls=>max_age=1;max_age=2", "the option max_age is given twice", "Leave one"),
            ("calls=>max_age=soon", "max_age is 'soon', which is not a time", "Give a time such as 30, 500ms"),
            ("calls=>max_age=-1", "which is not a time", "Give a time"),
            ("calls=>max_age=999999999999d", "which is not a time", "Give a time"),
            ("calls=>duplicate_window=0", "which is not a time above 0", "Give a time"),
            ("calls=>subjects=a..b", "subjects: subject 'a..b': it has an empty token", "NAME=>"),
            ("calls=>subjects=", "which is not subjects", "Give subjects with spaces"),
            ("calls=>storage=disk", "which is not one of file, memory", "Give one of file, memory"),
            ("calls=>replicas=7", "which is not a number from 1 to 5", "Give a number from 1 to 5"),
            ("calls=>max_bytes=1GB", "which is not a number of bytes", "Give a number of bytes"),
            ("calls=>max_bytes=-1KiB", "which is not a number of bytes", "Give a number of bytes"),
            ("calls=>max_bytes=9000000TiB", "which is not a number of bytes", "Give a number of bytes"),
            ("calls=>max_msgs=-2", "which is not a number from -1", "Give a number from -1"),
            ("calls=>max_msgs=1.5", "which is not a number from -1", "Give a number from -1"),
            ("calls=>allow_direct=yes", "which is not 0 or 1", "Give 0 or 1"),
        ):
            error = self.assertRaises(SettingError, StreamEntry.parse, text)
            self.assertEqual((error.setting, error.value), ("jetstream_stream", text))
            self.assertIn(problem, error.problem)
            self.assertIn(remedy, error.remedy)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Nothing but an entry or this error comes of it."""
        for parse in (StreamEntry.parse, ConsumerEntry.parse, ReplayEntry.parse):
            for whole in (text, f"calls=>{text}", f"a:b=>max_deliver={text}", f"a=>from={text}"):
                try:
                    parse(whole)
                except SettingError:
                    pass


class ConsumerEntryTests(SynchronousTestCase):
    """``jetstream_consumer``."""

    def test_names_alone(self) -> None:
        """Then nothing but the acknowledgements is certain."""
        entry = ConsumerEntry.parse("calls:billing")
        self.assertEqual((entry.stream, entry.durable, str(entry)), ("calls", "billing", "calls:billing"))
        self.assertEqual(entry.config, ConsumerConfig(durable_name="billing", ack_policy="explicit"))

    def test_all_options(self) -> None:
        entry = ConsumerEntry.parse(
            "calls:billing=>filter_subjects=calls.* cdr.>;backoff=1 5s 2m;max_deliver=5;max_ack_pending=1000;"
            "max_waiting=64;deliver_policy=new;inactive_threshold=1d;replicas=1;priority_policy=pinned_client;"
            "priority_groups=jobs;priority_timeout=2m;batch=100;group=jobs;min_pending=10;min_ack_pending=5;priority=3"
        )
        self.assertEqual(
            entry.config,
            ConsumerConfig(
                durable_name="billing",
                ack_policy="explicit",
                filter_subjects=("calls.*", "cdr.>"),
                backoff=(1.0, 5.0, 120.0),
                max_deliver=5,
                max_ack_pending=1000,
                max_waiting=64,
                deliver_policy="new",
                inactive_threshold=86_400.0,
                num_replicas=1,
                priority_policy="pinned_client",
                priority_groups=("jobs",),
                priority_timeout=120.0,
            ),
        )
        self.assertEqual(
            entry.pull, {"batch": 100, "group": "jobs", "min_pending": 10, "min_ack_pending": 5, "priority": 3}
        )

    def test_malformed(self) -> None:
        for text, problem in (
            ("calls", "there is no colon"),
            ("calls:", "'' is not a name"),
            (":billing", "'' is not a name"),
            ("calls:b/c", "'b/c' is not a name"),
            ("calls:billing=>ack_wait=0", "not a time above 0"),
            ("calls:billing=>backoff=", "not times with spaces"),
            ("calls:billing=>backoff=1 0", "not a time above 0"),
            ("calls:billing=>backoff=1 2;ack_wait=3", "backoff replaces ack_wait"),
            ("calls:billing=>backoff=1 2;max_deliver=2", "as many waits as max_deliver"),
            ("calls:billing=>deliver_policy=last_per_subject", "last_per_subject needs filter_subjects"),
            ("calls:billing=>subjects=a", "there is no option 'subjects'"),
            ("calls:billing=>priority=10", "not a number from 0 to 9"),
        ):
            error = self.assertRaises(SettingError, ConsumerEntry.parse, text)
            self.assertEqual((error.setting, error.value), ("jetstream_consumer", text))
            self.assertIn(problem, error.problem)
        for text in ("calls:billing=>backoff=1 2;max_deliver=3", "calls:billing=>backoff=1 2;max_deliver=-1"):
            self.assertEqual(ConsumerEntry.parse(text).config.backoff, (1.0, 2.0))


class ReplayEntryTests(SynchronousTestCase):
    """``jetstream_replay``."""

    def test_where_it_begins(self) -> None:
        for text, entry in (
            ("calls", ReplayEntry("calls")),
            ("calls=>from=all", ReplayEntry("calls")),
            ("calls=>from=new", ReplayEntry("calls", "new")),
            ("calls=>from=last", ReplayEntry("calls", "last")),
            ("calls=>from=last_per_subject", ReplayEntry("calls", "last_per_subject")),
            ("calls=>from=17", ReplayEntry("calls", "by_start_sequence", sequence=17)),
            (
                "calls=>from=1970-01-01T00:00:07Z;filter_subjects=a b.*",
                ReplayEntry("calls", "by_start_time", time=7_000_000_000, filter_subjects=("a", "b.*")),
            ),
        ):
            self.assertEqual(ReplayEntry.parse(text), entry)
            self.assertEqual((str(entry), entry.subject, entry.queue_group), ("replay:calls", ">", None))

    def test_malformed(self) -> None:
        for text, problem in (
            ("", "'' is not a name"),
            ("calls:billing.x", "is not a name"),
            ("calls=>from=", "from is '', which is not all, new, last"),
            ("calls=>from=0", "from is '0', which is not all, new, last"),
            ("calls=>from=yesterday", "a sequence, or a time such as 2026"),
            ("calls=>from=2026-11-26", "a sequence, or a time such as 2026"),
            ("calls=>start=1", "there is no option 'start'"),
        ):
            error = self.assertRaises(SettingError, ReplayEntry.parse, text)
            self.assertEqual((error.setting, error.value), ("jetstream_replay", text))
            self.assertIn(problem, error.problem)
