"""The value of one ``kamailio_htable``."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from natsroute.errors import SettingError, SubjectError
from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.cfg.htables import tables_of
from natsroute.wire.key_value import check_bucket

SETTING = "kamailio_htable"


@attrs.frozen
class HtableEntry:
    """
    One ``kamailio_htable``: a hash table of scripts that is kept in a key-value bucket.

    :ivar name: the name of the table.
    :ivar bucket: the bucket.
    """

    name: str
    bucket: str

    @classmethod
    def parse(cls, text: str) -> HtableEntry:
        """
        Split ``NAME=BUCKET``.

        :raises SettingError: there is no name, or the bucket cannot have this one.
        """
        name, equals, bucket = text.partition("=")
        remedy = "Write NAME=BUCKET, such as calls=kamailio-calls"
        if not equals or not name.strip():
            raise SettingError(SETTING, text, "it names no htable and bucket", remedy)
        try:
            return cls(name.strip(), check_bucket(bucket.strip()))
        except SubjectError as error:
            raise SettingError(SETTING, text, str(error), remedy) from None

    def __str__(self) -> str:
        return f"{self.name}={self.bucket}"


def check_htables(entries: Iterable[HtableEntry], cfg: KamailioCfg | None) -> None:
    """
    Check that each entry has a table of its own, and a bucket of its own.

    :param cfg: the ``kamailio_cfg``; None if there is none.
    :raises SettingError: one has none, or shares it with another.
    """
    tables = {} if cfg is None else tables_of(cfg)[0]
    buckets: dict[str, HtableEntry] = {}
    for entry in entries:
        if entry.name.encode("utf-8", "surrogateescape") not in tables:
            problem = "there is no such htable" if cfg is not None else "there is no kamailio_cfg that defines htables"
            remedy = f'Write modparam("htable", "htable", "{entry.name}=>size=8;") in the kamailio_cfg'
            raise SettingError(SETTING, str(entry), problem, remedy)
        other = buckets.setdefault(entry.bucket, entry)
        if other is not entry or sum(1 for one in buckets.values() if one.name == entry.name) > 1:
            problem = "another kamailio_htable has this bucket or this htable"
            raise SettingError(SETTING, str(entry), problem, "Give each htable a bucket of its own")
