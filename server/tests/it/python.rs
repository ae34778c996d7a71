//! The published Python client against the real program.

use std::process::Command;

use crate::program::Program;

/// Runs `tests/qdrant_client.py` where a Python with `qdrant_client` is found (`$PYTHON`, or `python3`).
#[test]
fn the_python_client_gets_the_answers_of_its_own_memory_mode() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let importable = Command::new(&python).args(["-c", "import qdrant_client"]).output();
    if !importable.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: {python} cannot import qdrant_client (pip install qdrant-client; PYTHON names another interpreter)"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Snapshots need a data folder.
    let program = Program::start(&["--data", dir.path().to_str().unwrap()]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/qdrant_client.py");
    // `-P`: the script must import the client, not itself.
    let output = Command::new(&python).args(["-P", script, &format!("http://{}", program.address)]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(program.stop().success());
}
