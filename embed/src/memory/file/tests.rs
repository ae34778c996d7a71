//! What is saved comes back and works alike; every file that is damaged, cut off or foreign is refused by name.

use super::*;
use crate::memory::{Forward, ValueType};
use crate::random::Random;

fn config() -> LayerConfig {
    LayerConfig {
        input_dim: 6,
        value_dim: 5,
        heads: 2,
        sub_keys: 4,
        key_dim: 4,
        k: 3,
        gated: true,
        query_key_norm: true,
    }
}

fn memory(value_type: ValueType) -> (MemoryLayer, Values, Vec<f32>) {
    let mut random = Random::new(101);
    let mut normals = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<_>>();
    let values = Values::from_rows(value_type, &normals(16 * 5), 5).unwrap();
    (MemoryLayer::random(config(), 102).unwrap(), values, normals(7 * 6))
}

fn output(layer: &MemoryLayer, values: &Values, inputs: &[f32]) -> Vec<f32> {
    let mut pass = Forward::default();
    layer.forward(values, inputs, &mut pass).unwrap();
    pass.output
}

#[test]
fn a_saved_memory_gives_the_same_output_mapped_and_owned() {
    let folder = tempfile::tempdir().unwrap();
    for value_type in [ValueType::F32, ValueType::Bf16, ValueType::Int8] {
        let path = folder.path().join("memory.safetensors");
        let (layer, values, inputs) = memory(value_type);
        let plain = MemoryLayer::random(LayerConfig { gated: false, query_key_norm: false, ..config() }, 7).unwrap();
        save(&path, &[&layer, &plain], &values).unwrap();
        let bytes = fs::read(&path).unwrap();
        save(&path, &[&layer, &plain], &values).unwrap();
        assert_eq!(bytes, fs::read(&path).unwrap(), "the same memory is the same file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        for load in [Load::Mapped, Load::Owned] {
            let mut file = MemoryFile::open(&path, load).unwrap();
            file.check_values(&path).unwrap();
            assert_eq!((file.layers.len(), file.values.value_type()), (2, value_type));
            assert_eq!(file.values.is_mapped(), load == Load::Mapped);
            for (saved, read) in [&layer, &plain].into_iter().zip(&file.layers) {
                assert_eq!(saved.weights(), read.weights());
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5;
                let (before, after) = (output(saved, &values, &inputs), output(read, &file.values, &inputs));
                assert!(before.iter().zip(&after).all(close));
                assert!(before == after || (value_type, load) == (ValueType::Int8, Load::Owned));
            }
            let written = file.values.write(3, &[1.0; 5]);
            match load {
                Load::Owned => written.unwrap(),
                Load::Mapped => {
                    let error = written.unwrap_err().to_string();
                    assert_eq!(error, "expected owned values of any type, found a mapped file");
                }
            }
        }
    }
}

#[test]
fn every_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.safetensors");
    let (layer, values, _) = memory(ValueType::Int8);
    save(&path, &[&layer], &values).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in (0..whole.len()).step_by(13).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..end]).unwrap();
        let error = MemoryFile::open(&path, Load::Mapped).unwrap_err();
        assert!(matches!(error, MemoryError::Format { .. }), "{end} bytes: {error}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.safetensors");
    let (layer, values, _) = memory(ValueType::Bf16);
    save(&path, &[&layer], &values).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for at in (header..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let error = MemoryFile::open(&path, Load::Owned).unwrap_err();
        assert!(matches!(error, MemoryError::Corrupt { .. }), "byte {at}: {error}");
        // Mapped, damage to values shows when they are checked, all other when the file is opened.
        let checked = MemoryFile::open(&path, Load::Mapped).and_then(|file| file.check_values(&path));
        assert!(matches!(checked.unwrap_err(), MemoryError::Corrupt { .. }));
    }
}

#[test]
fn what_is_no_memory_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.safetensors");
    let refused = |load| MemoryFile::open(&path, load).unwrap_err().to_string();
    assert!(refused(Load::Owned).contains("No such file"));
    fs::write(&path, b"").unwrap();
    assert!(refused(Load::Owned).contains("expected a whole safetensors file"));
    fs::write(&path, b"{\"this\": \"is JSON, and long enough for a header\"}").unwrap();
    assert!(refused(Load::Mapped).contains("expected a whole safetensors file"));

    let save_with = |metadata: Option<&str>, tensors: &[(&str, Dtype, Vec<usize>, &[u8])]| {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        let metadata = metadata.map(|text| HashMap::from([(METADATA.to_owned(), text.to_owned())]));
        serialize_to_file(views, metadata, &path).unwrap();
    };
    let zeros = [0; 64];
    save_with(None, &[("values", Dtype::F32, vec![4, 4], &zeros)]);
    assert!(refused(Load::Owned).ends_with("expected metadata `vicino.memory`, found none"));
    save_with(Some(r#"{"version": 2, "future": true}"#), &[]);
    assert!(refused(Load::Owned).ends_with("expected version 1, found version 2"));
    save_with(Some("no JSON"), &[]);
    assert!(refused(Load::Owned).contains("expected readable metadata"));
    let empty = r#"{"version": 1, "layers": [], "crc32c": {}}"#;
    save_with(Some(empty), &[]);
    assert!(refused(Load::Mapped).ends_with("expected tensor `values`, found none"));
    save_with(Some(empty), &[("values", Dtype::F64, vec![2, 4], &zeros)]);
    assert!(refused(Load::Mapped).ends_with("expected `values` in F32, BF16 or I8, found F64"));
    save_with(Some(empty), &[("values", Dtype::F32, vec![16], &zeros)]);
    assert!(refused(Load::Mapped).ends_with("expected `values` of two dimensions, found [16]"));
    save_with(Some(empty), &[("values", Dtype::I8, vec![16, 4], &zeros)]);
    assert!(refused(Load::Mapped).ends_with("expected tensor `values.scale`, found none"));
    save_with(Some(empty), &[("values", Dtype::F32, vec![4, 4], &zeros)]);
    assert!(refused(Load::Owned).ends_with("expected a checksum of `values`, found none"));
    let layer = serde_json::to_string(&LayerConfig { k: 0, ..config() }).unwrap();
    save_with(Some(&format!(r#"{{"version": 1, "layers": [{layer}], "crc32c": {{}}}}"#)), &[]);
    assert_eq!(refused(Load::Owned), "k: expected 1 to 16, found 0");
    let layer = serde_json::to_string(&config()).unwrap();
    save_with(Some(&format!(r#"{{"version": 1, "layers": [{layer}], "crc32c": {{}}}}"#)), &[]);
    assert!(refused(Load::Owned).ends_with("expected tensor `layers.0.query.weight`, found none"));
}
