"""Opens the store's database: engine, transactions, schema migrations, and one clear sentence for what can go wrong.

Knows SQLAlchemy URLs and Alembic; not what the tables mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from detectors.errors import AnomalyError

MIGRATIONS = Path(__file__).parent / "migrations"
WAIT_S = 20.0  # how long a writer waits for another before it gives up; labels of 100,000 findings take some 3 to 5


class StoreError(AnomalyError):
    """The store cannot do what was asked."""


def database_url(where: str) -> URL:
    """A folder, a .db file or a SQLAlchemy URL → the URL.

    Raises:
        StoreError: not a URL that SQLAlchemy reads.
    """
    if "://" in where:
        try:
            return make_url(where)
        except ArgumentError as error:
            raise StoreError("the store's URL cannot be read; expected e.g. sqlite:////data/store.db") from error
    path = Path(where).expanduser()
    file = path if path.suffix in {".db", ".sqlite", ".sqlite3"} else path / "store.db"
    return URL.create("sqlite", database=str(file))


class Database:
    """One engine with read and write transactions whose errors are sentences."""

    def __init__(self, url: URL, wait_s: float = WAIT_S) -> None:
        self.url = url
        self.name = url.database if url.drivername.startswith("sqlite") else url.render_as_string(hide_password=True)
        with self.sentences():
            arguments = {"timeout": wait_s, "check_same_thread": False} if self.is_sqlite else {}
            self.engine: Engine = create_engine(url, connect_args=arguments)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(anomaly_write=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.url.drivername.startswith("sqlite")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading."""
        with self.sentences(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all of it is kept, or nothing."""
        with self.sentences(), Session(self._writer) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema up to this version's; a store of a newer version is refused.

        Raises:
            StoreError: newer schema, locked, read-only, or not a database.
        """
        with self.sentences():
            if self._schema() == schema_head():
                return
            with self._writer.begin() as connection:  # the lock is ours: look again, another process may have done it
                if self._schema() != schema_head():
                    _upgrade(connection)

    def _schema(self) -> str | None:
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found is not None and found not in _schemas():
            raise StoreError(
                f"The store {self.name} was written by a newer version of anomaly-assistant (schema {found}; this one "
                f"knows up to {schema_head()}); upgrade anomaly-assistant, or point --store at another folder."
            )
        return found

    @contextmanager
    def sentences(self) -> Iterator[None]:
        """Turn database errors into one sentence each."""
        try:
            yield
        except NoSuchModuleError as error:
            raise StoreError(f"The store's database kind is unknown: {error}.") from error
        except DBAPIError as error:
            raise StoreError(self._sentence(str(error.orig))) from error
        except ModuleNotFoundError as error:
            raise StoreError(f"The store's database needs the package {error.name}; install it first.") from error
        except SQLAlchemyError as error:
            raise StoreError(f"The store {self.name} failed: {str(error).splitlines()[0]}.") from error

    def _sentence(self, message: str) -> str:
        low = message.lower()
        if "locked" in low or "busy" in low:
            return f"The store {self.name} is locked by another process; wait until it has finished, then try again."
        if "readonly" in low or "read-only" in low:
            return f"The store {self.name} is read-only; make it writable or point --store at another folder."
        if "unable to open" in low:
            return f"The store {self.name} cannot be opened; check that its folder exists and may be written."
        if "not a database" in low or "malformed" in low:
            return f"{self.name} is not a store or is damaged ({message}); point --store at another folder."
        if "full" in low:
            return f"The store {self.name} cannot grow: the disk is full."
        return f"The store {self.name} failed: {message.splitlines()[0]}."


def make_folder(folder: Path) -> None:
    """Make a folder of the store.

    Raises:
        StoreError: a file is in the way, or the place may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"{folder} is or lies below a file; a store needs a folder.") from error
    except OSError as error:
        raise StoreError(f"The store's folder {folder} cannot be made: {error.strerror}; use --store.") from error


def schema_head() -> str:
    """The newest schema this version knows."""
    return max(_schemas())


def _schemas() -> set[str]:
    return {file.stem.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _upgrade(connection: object) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_sqlite(connection: object, _record: object) -> None:
    """Readers never wait for a writer (WAL); transactions are ours to begin, so that schema changes are atomic too."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: object) -> None:
    write = connection.get_execution_options().get("anomaly_write", False)  # type: ignore[attr-defined]
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")  # type: ignore[attr-defined]
