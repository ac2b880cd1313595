"""The store keeps what it is given, finds it fast, and says in one sentence what is wrong."""

import sqlite3
import time

import pytest
from sqlalchemy import text

from assistant.evidence import Answer, Fact, ToolResult
from assistant.records import NewFinding, Run, Sample
from assistant.store import Store
from assistant.store.database import Database, StoreError, database_url, schema_head
from assistant.store.schema import Base


def a_run(**changes):
    values = {
        "id": "",
        "created": "",
        "source": "parts",
        "modality": "image",
        "model": "model",
        "method": "default",
        "alpha": 0.01,
        "fdr": None,
        "n_samples": 3,
        "n_flagged": 2,
    }
    return Run(**{**values, **changes})


def a_finding(index, p_value=0.001, score=1.0, part="cpu", **changes):
    parts = [{"name": part, "share": 0.7, "observed": 1.0, "expected": 0.0}]
    return NewFinding(f"part_{index:03d}.png", index, score, p_value, parts=parts, **changes)


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def filled(store):
    findings = [
        a_finding(0, 0.004, 2.0, regions=[{"name": "region 1", "position": "upper left"}]),
        a_finding(1, 0.001, 5.0, part="disk"),
        a_finding(2, 0.001, 7.0),
    ]
    samples = [Sample("", f"part_{i:03d}.png", i, float(i), 0.5, i < 3) for i in range(20)]
    store.add_run(a_run(), samples, findings)
    return store


def ids(findings):
    return [finding.id for finding in findings]


def test_a_run_comes_back_as_it_was_kept(store):
    kept = store.add_run(a_run(fdr=0.05, info={"channels": ["a"]}, skipped=[("x.png", "broken")]), [], [a_finding(4)])
    assert kept.id == "R1"
    assert kept.skipped == [("x.png", "broken")]
    assert store.run() == store.run("r1") == kept
    finding = store.finding("F1")
    assert (finding.run, finding.sample, finding.state) == ("R1", "part_004.png", "new")
    assert finding.folder == store.root / "runs" / "R1" / "F1"


def test_a_run_that_cannot_place_its_pictures_is_not_kept(store):
    def fail(run, findings):
        raise OSError(f"no room for {run} {findings}")

    with pytest.raises(OSError, match="R1"):
        store.add_run(a_run(), [], [a_finding(0)], place=fail)
    assert store.runs() == []
    assert store.count_findings() == 0


def test_equal_p_values_are_ordered_by_score(filled):
    assert ids(filled.findings()) == ["F3", "F2", "F1"]
    assert ids(filled.findings(descending=True)) == ["F1", "F2", "F3"]
    assert ids(filled.findings(order="index", limit=2, offset=1)) == ["F2", "F3"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"part": "CPU"}, ["F3", "F1"]),
        ({"position": "upper left"}, ["F1"]),
        ({"search": "_002"}, ["F3"]),
        ({"search": "%"}, []),
        ({"max_p": 0.002}, ["F3", "F2"]),
        ({"state": "confirmed"}, []),
        ({"ids": ["F1", "f3"]}, ["F3", "F1"]),
        ({"run": "R1", "min_score": 6}, ["F3"]),
    ],
)
def test_findings_are_filtered(filled, filters, found):
    assert ids(filled.findings(**filters)) == found
    assert filled.count_findings(**filters) == len(found)


def test_findings_can_be_sorted_by_time_state_and_kind(store):
    told = [("2024-03-02T10:00", "spike"), ("2024-03-02T08:00", "drift"), ("2024-03-02T09:00", "drift")]
    found = [a_finding(i, 0.001 * (i + 1), time=time, kind=kind) for i, (time, kind) in enumerate(told)]
    store.add_run(a_run(), [], found)
    store.label("F1", "anomaly")
    assert ids(store.findings(order="time", descending=True)) == ["F1", "F3", "F2"]
    assert ids(store.findings(order="kind")) == ["F2", "F3", "F1"]
    assert ids(store.findings(order="state")) == ["F1", "F2", "F3"]


def test_an_id_is_found_by_searching_for_it(filled):
    assert ids(filled.findings(search="f2")) == ["F2"]
    assert ids(filled.findings(search="part_002")) == ["F3"]


def test_unknown_filters_orders_and_states_are_named(filled):
    with pytest.raises(StoreError, match="known: p_value, score"):
        filled.findings(order="size")
    with pytest.raises(StoreError, match="known: new, confirmed"):
        filled.findings(state="old")
    with pytest.raises(StoreError, match="cannot be filtered by 'colour'"):
        filled.findings(colour="red")


def test_unknown_ids_name_the_known_range(filled, store):
    with pytest.raises(StoreError, match="There is no finding F99; this store holds F1 to F3"):
        filled.finding("F99")
    with pytest.raises(StoreError, match="There is no run R7; this store holds only R1"):
        filled.run("R7")
    with pytest.raises(StoreError, match="There is no incident I1; this store holds no incident yet"):
        filled.incident("I1")
    with pytest.raises(StoreError, match="finding ids look like F1"):
        filled.finding("../etc")


@pytest.mark.parametrize("name", ["part_017.png", "part_017", "17", "part 17", "PART_17.PNG"])
def test_samples_are_found_by_what_people_call_them(filled, name):
    assert [sample.index for sample in filled.samples_named(name)] == [17]


def test_another_word_for_a_sample_is_taken_only_when_asked_to(filled):
    assert filled.samples_named("piece no 17") == []
    assert [sample.index for sample in filled.samples_named("piece no 17", loose=True)] == [17]


def test_a_flagged_sample_knows_its_finding(filled):
    assert filled.samples_named("1")[0].finding == "F2"
    assert filled.samples_named("3")[0].finding is None
    assert filled.samples_named("nothing like it") == []


def test_parts_that_are_involved_are_counted(filled):
    assert filled.involved("part", "R1") == [("cpu", 2), ("disk", 1)]


def test_labels_set_the_state_and_the_latest_counts(filled):
    filled.label("F1", "anomaly", who="user")
    finding = filled.label("F1", "normal", note="a reflection", who="ann")
    assert (finding.state, finding.note) == ("false alarm", "a reflection")
    assert [(label.label, label.who) for label in filled.labels("F1")] == [("anomaly", "user"), ("normal", "ann")]
    assert ids(filled.labelled("model", "normal")) == ["F1"]
    assert filled.labelled("another model", "normal") == []
    assert filled.states("R1") == {"false alarm": 1, "new": 2}
    with pytest.raises(StoreError, match="known: anomaly, normal"):
        filled.label("F1", "strange")


def test_an_incident_gathers_findings(filled):
    filled.label("F1", "anomaly")
    incident = filled.add_incident("Scratches", ["F3", "F1", "F3"])
    assert incident.findings == ["F1", "F3"]
    assert ids(filled.findings(state="in incident")) == ["F3", "F1"]
    assert filled.finding("F1").state == "confirmed"
    with pytest.raises(StoreError, match="no finding F9"):
        filled.add_incident("Nothing", ["F1", "F9"])
    assert len(filled.incidents()) == 1


def test_evidence_keeps_full_precision(store):
    result = ToolResult([Fact("F12", "p_value", 0.000412345678), Fact("F12", "sample", "a.png")], note="n")
    evidence = store.add_evidence("describe_finding", {"finding": "F12"}, result, thread="t")
    assert evidence.id == "E1"
    assert evidence.subjects == ["F12"]
    assert store.evidence("e1") == evidence
    assert store.thread_evidence("t") == [evidence]


def test_a_thread_remembers_its_answers(store):
    store.add_answer("t", "why?", Answer("because").to_dict())
    store.add_answer("t", "really?", Answer("yes").to_dict())
    assert [exchange.question for exchange in store.answers("t")] == ["why?", "really?"]
    assert [(thread.name, thread.title, thread.answers) for thread in store.threads()] == [("t", "why?", 2)]


def test_paths_out_of_the_store_are_refused(store):
    assert store.relative(store.path("runs/R1/x.png")) == "runs/R1/x.png"
    with pytest.raises(StoreError, match="leads out of the store"):
        store.path("../secret")


def test_the_migrations_make_the_tables_that_the_code_knows(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_store_opens_again_with_what_it_held(tmp_path):
    Store.open(tmp_path).add_run(a_run(), [], [a_finding(0)])
    assert ids(Store.open(tmp_path / "store.db", create=False).findings()) == ["F1"]
    assert ids(Store.open(f"sqlite:///{tmp_path}/store.db").findings()) == ["F1"]


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    store = Store.open(tmp_path)
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=f"newer version.*schema 9999; this one knows up to {schema_head()}"):
        Store.open(tmp_path)


def test_a_locked_store_says_so(tmp_path):
    store = Store.open(tmp_path)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    hasty = Store(Database(database_url(str(tmp_path)), wait_s=0.05), store.root)
    with pytest.raises(StoreError, match="locked by another process"):
        hasty.add_run(a_run(), [], [])
    assert hasty.runs() == []  # readers go on
    other.close()


def test_a_store_that_cannot_be_used_says_why(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.db").write_bytes(b"not a database at all" * 100)
    Store.open(tmp_path / "good").close()
    with pytest.raises(StoreError, match="is or lies below a file"):
        Store.open(tmp_path / "file")
    with pytest.raises(StoreError, match="not a store or is damaged"):
        Store.open(tmp_path / "bad.db")
    with pytest.raises(StoreError, match="There is no store"):
        Store.open(tmp_path / "none", create=False)
    with pytest.raises(StoreError, match="cannot be read"):
        Store.open("://")
    with pytest.raises(StoreError, match="kind is unknown"):
        Store.open("nosuch://x/y")


def test_a_read_only_store_says_so(tmp_path):
    Store.open(tmp_path).close()
    store = Store.open(f"sqlite:///file:{tmp_path}/store.db?mode=ro&uri=true", root=tmp_path)
    with pytest.raises(StoreError, match="read-only"):
        store.add_run(a_run(), [], [])


def test_thousands_of_findings_are_listed_at_once(store):
    findings = [a_finding(i, (i * 7919 % 5000) / 5000, i % 97, part=f"c{i % 9}") for i in range(5000)]
    store.add_run(a_run(), [], findings)
    store.add_run(a_run(), [], [a_finding(0)])
    start = time.perf_counter()
    for order in ("p_value", "score", "index", "created"):
        assert len(store.findings("R1", order=order, descending=True, limit=10, offset=100)) == 10
    assert store.count_findings("R1", part="c3", max_p=0.5) > 0
    assert store.involved("part", "R1")[0][1] > 0
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize("order", ["p_value", "score", "index", "created", "time", "state", "kind"])
@pytest.mark.parametrize("run", [None, "R1"])
def test_sorting_uses_an_index(store, order, run):
    from sqlalchemy import select

    from assistant.store.queries import ordering
    from assistant.store.schema import FindingRow

    query = store._filtered(select(FindingRow), run).order_by(*ordering(order, False)).limit(10)
    with store.database.engine.connect() as connection:
        literal = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {literal}")))
    assert "TEMP B-TREE" not in plan
