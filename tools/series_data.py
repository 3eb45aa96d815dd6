"""Writes the real series of benchmarks and recipes as CSV files, as someone who has them would.

    pip download --no-deps --dest build/wheels vega_datasets bokeh_sampledata statsmodels
    python tools/series_data.py --wheels build/wheels build/series

Without --wheels it reads the installed packages, which it does not import. Values are copied as
texts; a gap stays a gap, be it an empty cell or a row that is not there.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

Rows = Iterator[list[str]]
Read = Callable[[str], Rows]
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
VEGA, BOKEH, STATS = "vega_datasets/_data", "bokeh_sampledata/_data", "statsmodels/datasets"


def seattle_weather(read: Read) -> Rows:
    """Every day of four years: rain, temperatures, wind, and a word for the weather."""
    return read(f"{VEGA}/seattle-weather.csv")


def glucose(read: Read) -> Rows:
    """One person's blood sugar every five minutes of half a year, with real gaps."""
    return _columns(read(f"{BOKEH}/CGM.csv.gz"), {"datetime": "time", "glucose": "glucose"})


def stocks(read: Read) -> Rows:
    """Daily closes of five companies, on the days when the market was open."""
    rows = _columns(
        read(f"{BOKEH}/stocks.csv.gz"), {"Date": "date", "Ticker": "symbol", "Close": "close"}
    )
    yield next(rows)
    yield from (row for row in rows if row[1] in SYMBOLS)


def co2(read: Read) -> Rows:
    """Carbon dioxide over Mauna Loa, weekly; 59 weeks are empty."""
    rows = read(f"{STATS}/co2/co2.csv")
    yield next(rows)
    yield from ([f"{day[:4]}-{day[4:6]}-{day[6:]}", value] for day, value in rows)


def elec_equip(read: Read) -> Rows:
    """Turnover of electric equipment in the euro area, monthly."""
    rows = read(f"{STATS}/elec_equip/elec_equip.csv")
    next(rows)
    yield ["date", "turnover"]
    yield from ([f"{datetime.strptime(day, '%b-%d-%Y'):%Y-%m-%d}", value] for day, value in rows)


def sunspots(read: Read) -> Rows:
    """Spots of the sun, yearly since 1700."""
    return _columns(
        read(f"{STATS}/sunspots/sunspots.csv"), {"YEAR": "year", "SUNACTIVITY": "spots"}
    )


def macrodata(read: Read) -> Rows:
    """The economy of the United States, quarterly and wide."""
    rows = read(f"{STATS}/macrodata/macrodata.csv")
    head = next(rows)
    yield ["quarter", *head[2:]]
    for year, quarter, *values in rows:
        yield [f"{int(float(year))}-{3 * int(float(quarter)) - 2:02}-01", *values]


def elnino(read: Read) -> Rows:
    """Temperatures of the Pacific's surface, monthly; its table has a column a month."""
    rows = read(f"{STATS}/elnino/elnino.csv")
    next(rows)
    yield ["month", "temperature"]
    for year, *values in rows:
        for number, value in enumerate(values, 1):
            yield [f"{year}-{number:02}", value]


def sf_temps(read: Read) -> Rows:
    """Temperatures of San Francisco, every hour of a year."""
    return _columns(read(f"{VEGA}/sf-temps.csv"), {"date": "time", "temp": "temperature"})


def sea_surface(read: Read) -> Rows:
    """Temperatures of the sea, every half hour, with a time zone."""
    names = {"time (UTC)": "time", "temperature (celsius)": "temperature"}
    return _columns(read(f"{BOKEH}/sea_surface_temperature.csv.gz"), names)


def employment(read: Read) -> Rows:
    """Thousands of jobs in the United States, monthly, a column for each part of the economy."""
    return read(f"{VEGA}/us-employment.csv")


def electricity(read: Read) -> Rows:
    """How Iowa made its electricity, yearly, three sources one below the other."""
    return read(f"{VEGA}/iowa-electricity.csv")


def monthly_stocks(read: Read) -> Rows:
    """Closes of five companies at each month's first day; one begins late."""
    return read(f"{VEGA}/stocks.csv")


FILES: dict[str, Callable[[Read], Rows]] = {
    "seattle-weather": seattle_weather,
    "glucose": glucose,
    "stocks": stocks,
    "co2": co2,
    "elec_equip": elec_equip,
    "sunspots": sunspots,
    "macrodata": macrodata,
    "elnino": elnino,
    "sf-temps": sf_temps,
    "sea-surface": sea_surface,
    "employment": employment,
    "electricity": electricity,
    "monthly-stocks": monthly_stocks,
}


def _columns(rows: Rows, names: dict[str, str]) -> Rows:
    """Columns in the order of `names`, under new names."""
    head = next(rows)
    places = [head.index(name) for name in names]
    yield [*names.values()]
    yield from ([row[place] for place in places] for row in rows)


def reader(wheels: Path | None) -> Read:
    """Rows of a CSV file that a package ships, from its wheel or from where it is installed."""

    def content(path: str) -> bytes:
        package = path.partition("/")[0]
        if wheels is not None:
            (wheel,) = wheels.glob(f"{package}-*.whl")
            with zipfile.ZipFile(wheel) as file:
                return file.read(path)
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is not installed; see --wheels")
        return (Path(spec.origin).parent.parent / path).read_bytes()

    def rows(path: str) -> Rows:
        data = content(path)
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        return csv.reader(io.StringIO(text))

    return rows


def write(folder: Path, wheels: Path | None = None, names: Iterable[str] = FILES) -> list[Path]:
    """Writes the named files into a folder, and tells their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    read, paths = reader(wheels), []
    for name in names:
        paths.append(folder / f"{name}.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(FILES[name](read))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--only", nargs="+", default=list(FILES), choices=list(FILES))
    args = parser.parse_args()
    for path in write(args.folder, args.wheels, args.only):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
