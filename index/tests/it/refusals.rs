//! Bad input: a clear message, and the index as it was.

use vicino_index::{
    BuildOptions, ElementType, Hnsw, HnswParams, Metric, Rows, Scratch, SearchParams, VectorRef, VectorSpec,
};

use crate::data::{gaussian, saved};

const DIM: usize = 4;

fn index(element: ElementType) -> Hnsw {
    let points: Vec<f32> = gaussian(41, 50, DIM).iter().map(|x| x.abs().round()).collect();
    let spec = VectorSpec::new(DIM, Metric::L2, element).unwrap();
    Hnsw::build(spec, HnswParams::new(4, 20), Rows::new(&points, DIM).unwrap(), &BuildOptions::default()).unwrap()
}

#[test]
fn a_bad_row_is_named_and_nothing_is_added() {
    for (element, bad, message) in [
        (ElementType::F32, f32::NAN, "row 2: vector coordinate 1 is not finite as f32: NaN"),
        (ElementType::F32, f32::INFINITY, "row 2: vector coordinate 1 is not finite as f32: inf"),
        (ElementType::F32, 1e39_f64 as f32, "row 2: vector coordinate 1 is not finite as f32: inf"),
        (ElementType::F32, 1e30, "row 2: vector norm 1.0000000150474662e30 is too large"),
        (ElementType::F16, 70_000.0, "row 2: vector coordinate 1 is not finite as f16: 70000"),
        (ElementType::U8, 0.5, "row 2: vector coordinate 1 is 0.5: not a whole number that fits u8"),
        (ElementType::U8, 256.0, "row 2: vector coordinate 1 is 256: not a whole number that fits u8"),
        (ElementType::I8, -129.0, "row 2: vector coordinate 1 is -129: not a whole number that fits i8"),
    ] {
        let mut index = index(element);
        let before = saved(&index);
        let mut rows = vec![1.0; 5 * DIM];
        rows[2 * DIM + 1] = bad;
        let error = index.extend(Rows::new(&rows, DIM).unwrap(), &BuildOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
        assert!(saved(&index) == before && index.len() == 50, "{element} {bad}: something was added");
        index.extend(Rows::new(&[1.0; 2 * DIM], DIM).unwrap(), &BuildOptions::default()).unwrap();
        index.check().unwrap();
    }
}

#[test]
fn a_bad_query_is_refused() {
    let index = index(ElementType::F32);
    let refusal = |query: VectorRef<'_>| {
        let mut hits = Vec::new();
        index.search(query, SearchParams::default(), &mut Scratch::new(), &mut hits).unwrap_err().to_string()
    };
    assert_eq!(refusal((&[1.0, 2.0, 3.0]).into()), "vector dimension: expected 4, found 3");
    assert!(refusal((&[1.0, f32::NAN, 3.0, 4.0]).into()).contains("coordinate 1 is not finite"));
    assert_eq!(refusal(VectorRef::Bits(&[1, 2, 3, 4])), "vector of bits given to an index of f32");
    assert!(Rows::new(&[1.0; 7], DIM).unwrap_err().to_string().contains("do not divide into rows of 4"));
}
