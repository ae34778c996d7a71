//! Power lost on a real file system: the real program writes to an ext4 of its own, in a file behind a loop device, which is shut down
//! under it without its journal being flushed (`EXT4_IOC_SHUTDOWN`), as if the machine had lost power; a quarter of the cycles again while
//! the program starts. After every mount exactly what was acknowledged is there, and of the changes under way each is whole or absent.
//!
//! Needs root, loop devices, `mkfs.ext4` and `perl` (whose `ioctl` spares the tests unsafe code); says so and ends where they are missing.
//! `VICINO_POWER_CYCLES=100 cargo test --release -p vicino-server power_lost -- --nocapture` for more than the default.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::ledger::{Ledger, Random, Server, setting};

/// Bytes of the file system.
const SIZE: u64 = 96 << 20;

/// What is left of the journal: `EXT4_GOING_FLAGS_LOGFLUSH` writes it to the disk, `EXT4_GOING_FLAGS_NOLOGFLUSH` does not.
const GOING_FLAGS: [&str; 3] = ["1", "2", "2"];

/// Ways to mount that differ in what gets to the disk when.
const MOUNT_OPTIONS: [&str; 3] = ["loop", "loop,data=writeback", "loop,nodelalloc,commit=1"];

/// Runs a command; what it said if it failed.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {}", said.trim())) }
}

/// A mounted file system in a file, unmounted at the end.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    fn new(dir: &Path) -> Result<Self, String> {
        let disk = Disk { image: dir.join("image"), at: dir.join("mounted") };
        File::create(&disk.image).and_then(|file| file.set_len(SIZE)).map_err(|error| error.to_string())?;
        fs::create_dir(&disk.at).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", &disk.image.to_string_lossy()])?;
        run("perl", &["-e", "1"])?;
        disk.mount(MOUNT_OPTIONS[0])?;
        Ok(disk)
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        run("mount", &["-t", "ext4", "-o", options, &self.image.to_string_lossy(), &self.at.to_string_lossy()])
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[&self.at.to_string_lossy()])
    }

    /// From now on nothing gets to the disk, and every call fails.
    fn lose_power(&self, flags: &str) -> Result<(), String> {
        const SHUTDOWN: &str = "open(my $dir, '<', $ARGV[0]) or die $!; my $flags = pack('L', $ARGV[1]); \
                                ioctl($dir, 0x8004587d, $flags) or die $!;";
        run("perl", &["-e", SHUTDOWN, &self.at.to_string_lossy(), flags])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: after a failure the program may still have files open.
        let _ = run("umount", &["-l", &self.at.to_string_lossy()]);
    }
}

/// What was seen.
struct Seen {
    /// Changes in all, and those to named vectors.
    acknowledged: (u64, u64),
    points: usize,
    /// Losses of power while the program started.
    in_recovery: u64,
}

/// Loses power `cycles` times under a server that is started with `arguments`. Errors, naming the cycle, once anything acknowledged is not
/// there.
fn lose_power(disk: &Disk, cycles: u64, seed: u64, arguments: &[&str]) -> Result<Seen, String> {
    let data = disk.at.join("data");
    let (mut random, mut ledger) = (Random(seed), Ledger::new(seed));
    let mut in_recovery = 0;
    let choose = |from: &[&'static str], random: &mut Random| from[random.below(from.len() as u64) as usize];
    for cycle in 0..=cycles {
        let context = format!("seed {seed}, cycle {cycle}");
        // Refused changes are logged as errors, and all of them are refused once the disk is gone.
        let mut server = Server::start(&data, arguments, Some(("VICINO_LOG", "off".into())));
        if (1..cycles).contains(&cycle) && random.below(4) == 0 {
            // While it starts, or a little after.
            std::thread::sleep(Duration::from_millis(random.below(60)));
            disk.lose_power(choose(&GOING_FLAGS, &mut random))?;
            server.kill();
            in_recovery += 1;
        } else {
            let url = server.address().ok_or_else(|| format!("{context}: it does not start"))?;
            assert!(ledger.make_collections(&url), "{context}");
            let compared = ledger.compare(&url).ok_or_else(|| format!("{context}: the server ended by itself"))?;
            let points = compared.map_err(|fault| format!("{context}: {fault}"))?;
            if cycle == cycles {
                server.kill();
                return Ok(Seen { acknowledged: ledger.acknowledged(), points, in_recovery });
            }
            let (changes, pause) = (random.below(30), Duration::from_millis(random.below(10)));
            // A change that meets the dead disk is refused as one that failed (500), or because others did (503).
            ledger.work_until(&url, &[500, 503], |course| {
                let waiting = Instant::now();
                while course.acknowledged.load(Ordering::SeqCst) < changes
                    && waiting.elapsed() < Duration::from_secs(10)
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(pause);
                // A machine without power answers nothing more. This one does, and in the moment of the shutdown the kernel may let a
                // sync succeed whose blocks it then fails to enter into the file.
                course.over.store(true, Ordering::SeqCst);
                let lost = disk.lose_power(choose(&GOING_FLAGS, &mut random));
                std::thread::sleep(Duration::from_millis(20));
                server.kill();
                lost
            })?;
        }
        disk.unmount().map_err(|why| format!("{context}: {why}"))?;
        disk.mount(choose(&MOUNT_OPTIONS, &mut random)).map_err(|why| format!("{context}: {why}"))?;
    }
    unreachable!("the last cycle returns")
}

/// A file system in `dir`, or `None`, having said why, where there can be none.
fn disk(dir: &Path) -> Option<Disk> {
    let disk = Disk::new(dir);
    let said = |why: &String| {
        eprintln!("skipped: there is no file system to lose power under, which takes root and loop devices ({why})");
    };
    disk.inspect_err(said).ok()
}

#[test]
fn power_lost_on_a_real_file_system_takes_nothing_acknowledged() {
    let (cycles, seed) = (setting("VICINO_POWER_CYCLES", 4), setting("VICINO_POWER_SEED", 1));
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = disk(dir.path()) else { return };
    let started = Instant::now();
    let seen = lose_power(&disk, cycles, seed, &[]).unwrap_or_else(|fault| panic!("{fault}"));
    let Seen { acknowledged: (acknowledged, named), points, in_recovery } = seen;
    println!(
        "{cycles} losses of power in {:.0} s, seed {seed}: {acknowledged} changes acknowledged, {named} of them to named vectors, {points} points at the \
         end; {in_recovery} while the program started",
        started.elapsed().as_secs_f64()
    );
    assert!(acknowledged > cycles && named > 0);
}

/// The test above would notice: without syncs the first losses of power take acknowledged changes.
#[test]
fn power_lost_without_syncs_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = disk(dir.path()) else { return };
    let noticed = lose_power(&disk, 20, 1, &["--sync", "os"]).err().expect("nothing was lost");
    assert!(noticed.contains("not as acknowledged") || noticed.contains("does not start"), "{noticed}");
}
