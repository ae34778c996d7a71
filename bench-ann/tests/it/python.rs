//! The scripts of the Python engines: that they parse here, and that they name the engines the binary names.

use std::process::Command;

use bench_ann::engines::{ENGINES, Source};

#[test]
fn scripts_parse_and_know_every_python_engine() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals");
    // Parsed, not imported: numpy and the rivals need not be installed.
    let script = "import ast, sys\n\
                  trees = [ast.parse(open(f'{sys.argv[1]}/{name}.py').read()) for name in ('worker', 'engines')]\n\
                  table = next(node for node in trees[1].body if isinstance(node, ast.Assign) and node.targets[0].id == 'ENGINES')\n\
                  print('\\n'.join(key.value for key in table.value.keys))";
    let output = match Command::new("python3").args(["-c", script, folder]).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: no python3 to parse the rivals' scripts with ({error})");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let named = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = ENGINES.iter().filter(|engine| matches!(engine.source, Source::Python(_))).map(|engine| engine.name);
    assert_eq!(named.lines().collect::<Vec<_>>(), ours.collect::<Vec<_>>());
}
