"""Wrote the .parquet and .zst files in this directory, which CorpusFilesTests reads.

With pyarrow 26.0.1 of PyPI and zstd of Debian: python3 write-corpora.py
"""
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 300


def text(row):
    return f"row {row} " + "lorem ipsum " * (row % 20) + "\u00e9\U0001f916\n"


def write(name, texts, type=pa.string(), nullable=True, **options):
    schema = pa.schema([("id", pa.int64()), ("nested", pa.struct([("text", pa.string())])),
                        pa.field("text", type, nullable), ("other", pa.string())])
    rows = len(texts)
    table = pa.table({"id": range(rows), "nested": [{"text": "no"}] * rows, "text": pa.array(texts, type),
                      "other": ["other"] * rows}, schema)
    pq.write_table(table, name + ".parquet", **options)


small = {"row_group_size": 100, "data_page_size": 2000, "write_batch_size": 50}
texts = [text(row) for row in range(ROWS)]
few = [text(row % 20) for row in range(ROWS)]
some = [None if row % 3 == 0 else text(row) for row in range(ROWS)]
# Each differs from the others in more than one way
write("plain", texts, compression="none", use_dictionary=False, **small)
write("required", texts, nullable=False, compression="zstd", **small)
write("dictionary", few, compression="snappy", **small)
write("dictionary-full", texts, compression="gzip", dictionary_pagesize_limit=3000, **small)
write("dictionary-type", few, type=pa.dictionary(pa.int32(), pa.string()), **small)
write("nulls", some, compression="snappy", **small)
write("version-2", some, compression="zstd", data_page_version="2.0", **small)
write("version-2-plain", some, compression="none", data_page_version="2.0", use_dictionary=False, **small)
write("version-2-required", few, type=pa.large_string(), nullable=False, data_page_version="2.0", **small)
write("all-nulls", [None] * 5)
write("no-rows", [])
write("empty-texts", ["", "one", ""])
write("list", [["a"], []], type=pa.list_(pa.string()))
write("struct", [{"a": "x"}], type=pa.struct([("a", pa.string())]))
write("number", [1, 2], type=pa.int64())
write("bytes", [b"\xff"], type=pa.binary())
write("brotli", texts[:5], compression="brotli")
write("delta", texts[:5], use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})


def zstd(name, content, *options):
    packed = subprocess.run(["zstd", "-q", *options], input=content.encode(), stdout=subprocess.PIPE, check=True)
    with open(name, "ab") as file:
        file.write(packed.stdout)


for name in ["lines.txt.zst", "lines.jsonl.zst", "window.txt.zst"]:
    open(name, "wb").close()
# Frames one after the other, as shards that were joined have them
zstd("lines.txt.zst", "".join(texts[:150]), "-19", "--check")
zstd("lines.txt.zst", "".join(texts[150:]), "-1")
zstd("lines.jsonl.zst", "".join('{"text": "line %d"}\n' % row for row in range(ROWS)))
zstd("window.txt.zst", "text\n", "--long=31")
