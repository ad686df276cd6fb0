"""Turn a CSV file into Parquet with duckdb; run by end_to_end.py in the peer's own environment.

Run:  python duckdb_csv.py FILE.csv.gz FILE.parquet REPEATS
"""

import sys
import time

import duckdb  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Print the seconds of each repeat."""
    source, target, repeats = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for _ in range(int(repeats)):
        start = time.process_time()
        connection.execute(f"COPY (FROM read_csv('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        print(time.process_time() - start)


if __name__ == "__main__":
    main()
