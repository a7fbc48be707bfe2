"""``python storage/migrate_old_data.py --source DIR --target DIR|URL``: evaluations in the old layout of files."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run by its path, Python looks for modules in this folder only, where they have other names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

    from cli.stores.migration import migrate_old_data

    migrate_old_data(prog_name="migrate_old_data.py")
