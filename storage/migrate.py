"""``python -m storage.migrate --source DIR|URL --target DIR|URL``: the command of :mod:`cli.stores.migration`."""

from cli.stores.migration import migrate_places

if __name__ == "__main__":
    migrate_places(prog_name="python -m storage.migrate")
