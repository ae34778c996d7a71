//! `vicino import` of Parquet files: every kind of column becomes what it should, whatever way it is written; what is wrong is said with
//! its row and column. The files are written here from JSON, by levels worked out apart from the reader.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;
use serde_json::{Value, json};

use crate::files::{assert_same, error, ok, path};
use crate::ledger::Random;

/// The values of a column, and how deep each is there (`definition`) and goes on (`repetition`).
#[derive(Default)]
struct Leaf {
    values: Vec<Value>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

fn leaves(field: &Type) -> usize {
    if field.is_primitive() { 1 } else { field.get_fields().iter().map(|field| leaves(field)).sum() }
}

/// Enters `value` into the columns of `field`, whose parents are there `definition` deep. It goes on from `repetition`, within `lists`.
fn shred(field: &Type, value: &Value, [definition, repetition, lists]: [i16; 3], columns: &mut [Leaf]) {
    let absent = |columns: &mut [Leaf]| {
        for column in columns {
            column.definition.push(definition);
            column.repetition.push(repetition);
        }
    };
    match field.get_basic_info().repetition() {
        Repetition::REQUIRED => descend(field, value, [definition, repetition, lists], columns),
        Repetition::OPTIONAL if value.is_null() => absent(columns),
        Repetition::OPTIONAL => descend(field, value, [definition + 1, repetition, lists], columns),
        Repetition::REPEATED => {
            let values = value.as_array().unwrap();
            if values.is_empty() {
                absent(columns);
            }
            for (at, value) in values.iter().enumerate() {
                let repetition = if at == 0 { repetition } else { lists + 1 };
                descend(field, value, [definition + 1, repetition, lists + 1], columns);
            }
        }
    }
}

fn descend(field: &Type, value: &Value, levels: [i16; 3], mut columns: &mut [Leaf]) {
    if field.is_primitive() {
        columns[0].values.push(value.clone());
        columns[0].definition.push(levels[0]);
        columns[0].repetition.push(levels[1]);
        return;
    }
    // The two groups around the elements of a list are no value of their own.
    let around = field.get_basic_info().converted_type() == ConvertedType::LIST || field.name() == "list";
    for child in field.get_fields() {
        let (of_child, rest) = columns.split_at_mut(leaves(child));
        shred(child, if around { value } else { &value[child.name()] }, levels, of_child);
        columns = rest;
    }
}

/// Bytes written as hexadecimal digits.
fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Writes `rows` in groups of `group` rows.
fn write(path: &str, schema: &str, rows: &[Value], group: usize, properties: WriterProperties) {
    let schema = Arc::new(parse_message_type(&format!("message points {{ {schema} }}")).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema.clone(), Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut columns: Vec<Leaf> = (0..leaves(&schema)).map(|_| Leaf::default()).collect();
        for row in rows {
            let mut rest = &mut columns[..];
            for field in schema.get_fields() {
                let (of_field, others) = rest.split_at_mut(leaves(field));
                shred(field, &row[field.name()], [0; 3], of_field);
                rest = others;
            }
        }
        let mut out = writer.next_row_group().unwrap();
        for Leaf { values, definition, repetition } in columns {
            let mut column = out.next_column().unwrap().unwrap();
            macro_rules! write {
                ($writer:expr, $convert:expr) => {
                    $writer
                        .write_batch(
                            &values.iter().map($convert).collect::<Vec<_>>(),
                            Some(&definition),
                            Some(&repetition),
                        )
                        .unwrap()
                };
            }
            let integer = |value: &Value| value.as_i64().unwrap_or_else(|| value.as_u64().unwrap() as i64);
            // JSON has no NaN.
            let float = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            match column.untyped() {
                ColumnWriter::BoolColumnWriter(writer) => write!(writer, |value| value.as_bool().unwrap()),
                ColumnWriter::Int32ColumnWriter(writer) => write!(writer, |value| integer(value) as i32),
                ColumnWriter::Int64ColumnWriter(writer) => write!(writer, integer),
                ColumnWriter::Int96ColumnWriter(writer) => write!(writer, |value| {
                    let words: Vec<u32> =
                        bytes(value).chunks(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
                    let mut number = Int96::new();
                    number.set_data(words[0], words[1], words[2]);
                    number
                }),
                ColumnWriter::FloatColumnWriter(writer) => write!(writer, |value| float(value) as f32),
                ColumnWriter::DoubleColumnWriter(writer) => write!(writer, float),
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    write!(writer, |value| ByteArray::from(value.as_str().unwrap()))
                }
                ColumnWriter::FixedLenByteArrayColumnWriter(writer) => {
                    write!(writer, |value| FixedLenByteArray::from(bytes(value)))
                }
            };
            column.close().unwrap();
        }
        out.close().unwrap();
    }
    writer.close().unwrap();
}

/// Imports `file` into an empty folder, with `arguments`, and writes all it then has to `out`.
fn import_export(file: &str, out: &str, arguments: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_string_lossy();
    let at = ["-c", "a", "--data", &*data];
    ok(&[&["import", file, "--distance", "Euclid"], &at[..], arguments].concat());
    ok(&[&["export", out], &at[..]].concat());
}

const VECTOR: &str = "optional group vector (LIST) { repeated group list { optional float element; } }";

#[test]
fn columns_of_every_kind_are_imported_however_they_are_written() {
    let schema = format!(
        "required int64 id; {VECTOR} optional binary title (UTF8); optional boolean ok; optional double score;
         optional int32 small (INTEGER(8,true)); optional int64 large (INTEGER(64,false)); optional float exact;
         optional int32 day (DATE); optional int64 at (TIMESTAMP(NANOS,true)); optional int96 old;
         optional int32 price (DECIMAL(9,2)); optional fixed_len_byte_array(16) key (UUID);
         optional fixed_len_byte_array(2) half (FLOAT16); optional binary payload (JSON);
         optional group tags (LIST) {{ repeated group list {{ optional binary element (UTF8); }} }}
         optional group rows (LIST) {{ repeated group list {{
             optional group element (LIST) {{ repeated group list {{ required int32 element; }} }} }} }}
         optional group place {{ required double lon; optional group names (LIST) {{
             repeated group list {{ optional group element {{ optional binary of (UTF8); }} }} }} }}
         optional group counts (MAP) {{ repeated group key_value {{ required binary key (UTF8); optional int32 value; }} }}"
    );
    let seed = 7;
    let mut random = Random(seed);
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for id in 0..600_u64 {
        let vector = [id as f32, 0.1, random.below(1000) as f32 / 7.0];
        // What is written, and what must come out, of every column but those two.
        let all = [
            ("title", json!(["cat", "näher", ""][id as usize % 3]), None),
            ("ok", json!(id % 2 == 0), None),
            ("score", json!(random.below(1 << 50) as f64 / 3.0), None),
            ("small", json!(-(random.below(129) as i64)), None),
            ("large", json!(u64::MAX - random.below(9)), None),
            ("exact", json!(0.1), None),
            ("day", json!(19_782), Some(json!("2024-02-29"))),
            ("at", json!(1_709_210_096_000_000_789_i64), Some(json!("2024-02-29T12:34:56.000000789Z"))),
            // Nanoseconds since midnight, and the Julian day, that of 1970-01-01.
            ("old", json!("00ca9a3b000000008c3d2500"), Some(json!("1970-01-01T00:00:01Z"))),
            ("price", json!(-1999), Some(json!(-19.99))),
            ("key", json!("00112233445566778899aabbccddeeff"), Some(json!("00112233-4455-6677-8899-aabbccddeeff"))),
            ("half", json!("0038"), Some(json!(0.5))),
            ("tags", [json!([]), json!(["a", null, "c"]), json!(["b"])][random.below(3) as usize].clone(), None),
            ("rows", [json!([]), json!([[1, 2], [], null, [3]]), json!([[]])][random.below(3) as usize].clone(), None),
            (
                "place",
                json!({"lon": 12.5, "names": [{"of": "x"}, {"of": null}, null]}),
                Some(json!({"lon": 12.5, "names": [{"of": "x"}, {}, null]})),
            ),
            (
                "counts",
                json!({"key_value": [{"key": "a", "value": 1}, {"key": "b", "value": null}]}),
                Some(json!({"a": 1, "b": null})),
            ),
        ];
        let (mut row, mut payload) = (json!({"id": id, "vector": vector}), json!({}));
        for (name, written, read) in all {
            if random.below(5) > 0 {
                payload[name] = read.unwrap_or_else(|| written.clone());
                row[name] = written;
            }
        }
        if random.below(2) == 0 {
            row["payload"] = json!("{\"more\": [1, {\"x\": null}]}");
            payload["more"] = json!([1, {"x": null}]);
        }
        rows.push(row);
        lines.push(json!({"id": id, "vector": vector, "payload": payload}));
    }
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (path(dir.path(), "points.parquet"), path(dir.path(), "out.jsonl"));
    for (group, compression, version, dictionary) in [
        (600, Compression::UNCOMPRESSED, WriterVersion::PARQUET_1_0, true),
        (100, Compression::SNAPPY, WriterVersion::PARQUET_1_0, true),
        (7, Compression::GZIP(Default::default()), WriterVersion::PARQUET_2_0, false),
        (599, Compression::LZ4, WriterVersion::PARQUET_1_0, false),
        (333, Compression::LZ4_RAW, WriterVersion::PARQUET_2_0, true),
        (250, Compression::ZSTD(Default::default()), WriterVersion::PARQUET_2_0, true),
    ] {
        let properties = WriterProperties::builder().set_compression(compression).set_writer_version(version);
        let properties = properties.set_dictionary_enabled(dictionary).set_data_page_row_count_limit(50);
        write(&file, &schema, &rows, group, properties.build());
        import_export(&file, &out, &["--batch", "77"]);
        assert_same(&out, &lines);
    }
}

#[test]
fn vectors_are_lists_of_numbers_of_any_kind_by_old_rules_and_new() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (path(dir.path(), "points.parquet"), path(dir.path(), "out.jsonl"));
    let list = |element: &str, of: &str| {
        format!("optional group v (LIST) {{ repeated group list {{ {element} element {of}; }} }}")
    };
    let bag = "optional group v (LIST) { repeated group bag { optional float list; } }";
    for (column, written, read) in [
        (list("required float", ""), json!([1.5, -2, 3]), None),
        (list("optional double", ""), json!([0.25, 2, 1e-3]), None),
        (list("optional int32", ""), json!([1, -2, 300]), None),
        (list("required int32", "(INTEGER(8,true))"), json!([1, -128, 127]), None),
        (list("required int32", "(INTEGER(8,false))"), json!([1, 255, 0]), None),
        (
            list("required fixed_len_byte_array(2)", "(FLOAT16)"),
            json!(["003c", "0038", "00c0"]),
            Some(json!([1, 0.5, -2])),
        ),
        ("optional group v (LIST) { repeated float array; }".into(), json!([1.5, 2, 3]), None),
        (bag.into(), json!([{"list": 1.5}, {"list": 2}]), Some(json!([1.5, 2]))),
        ("repeated float v;".into(), json!([1.5, 2, 3]), None),
    ] {
        let rows: Vec<Value> = (0..5).map(|_| json!({ "v": written })).collect();
        write(&file, &column, &rows, 2, WriterProperties::default());
        import_export(&file, &out, &["--vector", "v"]);
        let vector = read.as_ref().unwrap_or(&written);
        let lines: Vec<Value> = (0..5).map(|id| json!({"id": id, "vector": vector, "payload": {}})).collect();
        assert_same(&out, &lines);
    }
    let structs = "optional group v (LIST) { repeated group list { optional group element { required float x; } } }";
    write(&file, structs, &[json!({"v": [{"x": 1}]})], 1, WriterProperties::default());
    let words = error(&["import", &file, "-c", "a", "--vector", "v", "--data", &path(dir.path(), "data")]);
    assert!(words.contains("column `v`: [0]: expected a number, found {\"x\":1.0}"), "{words}");
}

#[test]
fn columns_and_structs_of_vectors_are_named_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (path(dir.path(), "points.parquet"), path(dir.path(), "out.jsonl"));
    let list =
        |name: &str| format!("optional group {name} (LIST) {{ repeated group list {{ optional float element; }} }}");
    let of = |id: u64| match id % 4 {
        0 => json!({"a": [id, 1]}),
        1 => json!({}),
        2 => json!({"b": [id, 2, 3]}),
        _ => json!({"a": [id, 4], "b": [id, 5, 6]}),
    };
    let lines: Vec<Value> = (0..50).map(|id| json!({"id": id, "vector": of(id), "payload": {}})).collect();
    let columns: Vec<Value> = (0..50).map(of).collect();
    write(&file, &format!("{} {}", list("a"), list("b")), &columns, 20, WriterProperties::default());
    import_export(&file, &out, &["--vector", "a,b"]);
    assert_same(&out, &lines);
    let structs = format!("required group vector {{ {} {} }}", list("a"), list("b"));
    let rows: Vec<Value> = (0..50).map(|id| json!({"vector": of(id)})).collect();
    write(&file, &structs, &rows, 20, WriterProperties::default());
    import_export(&file, &out, &[]);
    assert_same(&out, &lines);
}

#[test]
fn ids_are_integers_uuids_or_texts_and_columns_are_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (path(dir.path(), "points.parquet"), path(dir.path(), "out.jsonl"));
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let interval = "optional fixed_len_byte_array(12) no (INTERVAL); required int32 a; required int32 b;";
    let cat = "e242681a-dcaf-5f46-9914-f75a73e33d1a";
    for (column, id, arguments, expected, payload) in [
        ("required int32 key;", json!(7), &["--id", "key"][..], json!(7), json!({"a": 1})),
        ("required binary key (UTF8);", json!(uuid), &["--id", "key"], json!(uuid), json!({"a": 1})),
        (
            "required fixed_len_byte_array(16) key (UUID);",
            json!(uuid.replace('-', "")),
            &["--id", "key"],
            json!(uuid),
            json!({"a": 1}),
        ),
        (
            "required binary key (UTF8);",
            json!("cat"),
            &["--id", "key", "--string-ids", "name"],
            json!(cat),
            json!({"a": 1, "name": "cat"}),
        ),
        ("required binary key (UTF8);", json!("cat"), &[], json!(0), json!({"a": 1})),
    ] {
        let rows = [json!({"key": id, "vector": [1, 2], "no": null, "a": 1, "b": 2})];
        write(&file, &format!("{column} {VECTOR} {interval}"), &rows, 1, WriterProperties::default());
        import_export(&file, &out, &[arguments, &["--payload", "a"]].concat());
        assert_same(&out, &[json!({"id": expected, "vector": [1, 2], "payload": payload})]);
    }
    let words = error(&["import", &file, "-c", "a", "--data", &path(dir.path(), "data"), "--distance", "Dot"]);
    assert!(words.contains("points.parquet: column `no`: `no`: intervals are not read"), "{words}");
}

#[test]
fn rows_that_are_wrong_are_named_and_a_run_goes_on_behind_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (path(dir.path(), "points.parquet"), path(dir.path(), "data"));
    let schema = format!("optional int64 id; {VECTOR} optional double score; optional binary text;");
    let mut rows: Vec<Value> = (0..90).map(|id| json!({"id": id, "vector": [id, 1, 2], "score": 0.5})).collect();
    let import = ["import", &file, "-c", "a", "--data", &data, "--batch", "20", "--distance", "Dot"];
    for (row, words) in [
        (json!({"id": 1, "vector": [1, 2]}), "a vector of 2 numbers, expected 3"),
        (json!({"id": 1, "vector": null}), "column `vector`: expected a list of numbers, found null"),
        (json!({"id": 1, "vector": [1, null, 3]}), "column `vector`: [1]: expected a number, found null"),
        (
            json!({"id": 1, "vector": [1, "NaN", 3]}),
            "column `vector`: [1]: expected a number that fits 32-bit floats, found NaN",
        ),
        (
            json!({"id": 1, "vector": [1, 2, 1e300]}),
            "column `vector`: [2]: expected a number that fits 32-bit floats, found inf",
        ),
        (json!({"id": null, "vector": [1, 2, 3]}), "no id, which rows before have"),
        (json!({"id": -4, "vector": [1, 2, 3]}), "id -4: expected an unsigned 64-bit integer or a UUID"),
    ] {
        let right = std::mem::replace(&mut rows[70], row);
        write(&file, &schema, &rows, 25, WriterProperties::default());
        let found = error(&[&import[..], &["--from-start"]].concat());
        assert!(found.contains(&format!("points.parquet, row 71 (row group 2): {words}")), "{found}");
        rows[70] = right;
    }
    // The same file once more: 60 rows of it are stored.
    assert!(error(&import).contains("row 71"));
    assert!(ok(&["info", &data]).contains("60 points"));
    write(&file, &schema, &rows, 25, WriterProperties::default());
    let said = ok(&import);
    assert!(said.contains("90 rows stored") && !said.contains("going on"), "another file begins anew: {said}");

    let missing = error(&[&import[..], &["--vector", "embedding"]].concat());
    assert!(
        missing.contains("no column `embedding` with a vector; there are [\"id\", \"vector\", \"score\", \"text\"]"),
        "{missing}"
    );
    let scalar = error(&[&import[..], &["--vector", "score"]].concat());
    assert!(scalar.contains("row 1 (row group 0): column `score`: expected a list of numbers, found 0.5"), "{scalar}");
}

#[test]
fn files_that_are_no_parquet_or_damaged_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bad) = (path(dir.path(), "points.parquet"), path(dir.path(), "bad.parquet"));
    let rows: Vec<Value> = (0..90).map(|id| json!({"id": id, "vector": [id, 1, 2], "text": "abc"})).collect();
    let schema = format!("optional int64 id; {VECTOR} optional binary text (UTF8);");
    write(&file, &schema, &rows, 45, WriterProperties::default());
    let whole = fs::read(&file).unwrap();
    let import = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        let data = tempfile::tempdir_in(dir.path()).unwrap();
        let arguments = ["import", &bad, "-c", "a", "--distance", "Dot", "--data", &data.path().to_string_lossy()];
        crate::files::vicino(&arguments)
    };
    for bytes in [&b"[1, 2]\n"[..], b"", &whole[..whole.len() - 1], &whole[..whole.len() / 2], &whole[4..]] {
        let said = String::from_utf8_lossy(&import(bytes).stderr).into_owned();
        assert!(said.contains("bad.parquet") && !said.contains("panicked"), "{said}");
    }
    let mut refused = 0;
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let output = import(&damaged);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "byte {at}: {said}");
        refused += usize::from(!output.status.success());
    }
    assert!(refused > 10, "{refused} refused");
    assert!(Path::new(&file).exists());
}
