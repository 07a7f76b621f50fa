//! In processes of their own: a quota on a group that the kernel enforces, and no descriptors.
//!
//! The quota needs the right to make cgroups with a CPU controller: on most machines root has it, in a
//! container mostly nobody. Where it is to be there, [`REQUIRED`] makes its lack a failure.

#[path = "../../../tests/common/program.rs"]
mod program;

use std::io;

use std::process::{Command, Output};
use std::time::Duration;

use super::*;
use crate::clock;
use crate::machine::cgroup::hierarchy::{Hierarchy, Version};
use crate::machine::cgroup::read_if_there;
use crate::machine::tests::cgroup::throttling_now;
use crate::sync::OnceLock;

/// The folder of the outer group, for the process that is to go into the inner one.
const OUTER: &str = "EXECUTOR_TEST_CGROUP";

/// Set where cgroups can be made.
const REQUIRED: &str = "EXECUTOR_TEST_CGROUP_REQUIRED";

/// A group with another one in it, both below the group of this process.
pub(crate) struct Groups {
    outer: PathBuf,
    version: Version,
}

impl Groups {
    /// The outer one has 1.5 CPUs. `name`: no two may have the same.
    fn create(name: &str) -> io::Result<Groups> {
        let membership = fs::read("/proc/self/cgroup")?;
        let own = Hierarchy::find(Path::new("/"), &membership)?
            .ok_or_else(|| io::Error::other("no hierarchy of CPU groups is mounted"))?;
        let folder = format!("executor-test-{}-{name}", std::process::id());
        let groups = Groups {
            outer: own.groups[0].join(folder),
            version: own.version,
        };
        fs::create_dir(&groups.outer)?;
        if groups.version == Version::V2 {
            fs::write(groups.outer.join("cgroup.subtree_control"), "+cpu")?;
        }
        fs::create_dir(groups.inner())?;
        // A group whose limits cannot be set is of no use here.
        groups.limit(&groups.inner(), None)?;
        groups.limit(&groups.outer, Some(150_000))?;
        Ok(groups)
    }

    /// Those of [`in_group`], for the process that it has started. `None`: somebody has asked for
    /// all ignored tests.
    pub(crate) fn of_parent() -> Option<&'static Groups> {
        // The parent removes them: a static is not dropped.
        static GROUPS: OnceLock<Groups> = OnceLock::new();
        let outer = std::env::var_os(OUTER).map(PathBuf::from)?;
        let is_v1 = outer.join("cpu.cfs_quota_us").exists();
        let version = if is_v1 { Version::V1 } else { Version::V2 };
        Some(GROUPS.get_or_init(|| Groups { outer, version }))
    }

    fn inner(&self) -> PathBuf {
        self.outer.join("inner")
    }

    /// This process and its threads go into the inner group.
    pub(crate) fn enter(&self) {
        // Zero stands for the process that writes.
        fs::write(self.inner().join("cgroup.procs"), "0").unwrap();
    }

    /// Microseconds of each 100 ms for the outer group.
    pub(crate) fn limit_outer(&self, quota: Option<u64>) {
        self.limit(&self.outer, quota).unwrap();
    }

    /// Microseconds of each 100 ms. In version 1 an inner group may not have more than an outer one.
    fn limit(&self, group: &Path, quota: Option<u64>) -> io::Result<()> {
        let quota = quota.map(|quota| quota.to_string());
        match self.version {
            Version::V1 => {
                fs::write(group.join("cpu.cfs_period_us"), "100000")?;
                let quota = quota.as_deref().unwrap_or("-1");
                fs::write(group.join("cpu.cfs_quota_us"), quota)
            }
            Version::V2 => {
                let quota = quota.as_deref().unwrap_or("max");
                fs::write(group.join("cpu.max"), format!("{quota} 100000"))
            }
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // A process leaves its group a moment after its end was told.
        for group in [self.inner(), self.outer.clone()] {
            for _ in 0..100 {
                match fs::remove_dir(&group) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        thread::sleep(Duration::from_millis(10));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// Runs an ignored test of a module in a process of its own, which may enter groups. Where none can be
/// made, nothing is checked.
pub(crate) fn in_group(module: &str, test: &str) {
    let groups = match Groups::create(test) {
        Ok(groups) => groups,
        Err(error) => {
            let is_required = std::env::var_os(REQUIRED).is_some();
            assert!(!is_required, "no cgroup can be made here: {error}");
            return;
        }
    };
    let child = run_ignored(module, test, |command| command.env(OUTER, &groups.outer));
    let (outer, inner) = (groups.outer.clone(), groups.inner());
    drop(groups);
    assert_ran(&child);
    assert!(!inner.exists() && !outer.exists(), "the groups are left");
}

/// Runs an ignored test of a module in a process of its own.
pub(crate) fn run_ignored(
    module: &str,
    test: &str,
    prepare: impl FnOnce(&mut Command) -> &mut Command,
) -> Output {
    let (_, module) = module.split_once("::").unwrap();
    let mut command = program::this_program();
    command.args([
        &format!("{module}::{test}"),
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    prepare(&mut command).output().unwrap()
}

#[track_caller]
pub(crate) fn assert_ran(child: &Output) {
    let printed = String::from_utf8_lossy(&child.stdout);
    let ran = child.status.success() && printed.contains("1 passed; 0 failed; 0 ignored");
    assert!(ran, "{printed}\n{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn a_quota_that_the_kernel_enforces_is_told_and_so_is_its_throttling() {
    in_group(module_path!(), "child_in_a_group");
}

#[test]
#[ignore = "a_quota_that_the_kernel_enforces_is_told_and_so_is_its_throttling starts it in a process of its own"]
fn child_in_a_group() {
    let Some(groups) = Groups::of_parent() else {
        return;
    };
    let (outer, inner) = (groups.outer.clone(), groups.inner());
    let limit = |group: &Path, quota: Option<u64>| groups.limit(group, quota).unwrap();
    let mut cpus = Cpus::new();
    let before = cpus.available_of(64);

    groups.enter();
    assert_eq!(cpus.available_of(64), 1);
    limit(&outer, Some(250_000));
    assert_eq!(cpus.available_of(64), before.min(2));
    limit(&outer, Some(900_000));
    limit(&inner, Some(350_000));
    assert_eq!(cpus.available_of(64), before.min(3));

    // A tenth of a CPU for a process that takes a whole one; of the outer group, to which no
    // process belongs itself.
    limit(&inner, None);
    limit(&outer, Some(10_000));
    assert_eq!(cpus.available_of(64), 1);
    let begin = throttling_now(&mut cpus).unwrap();
    let end = clock::now() + Duration::from_secs(20);
    let throttling = loop {
        let now = throttling_now(&mut cpus).unwrap();
        let is_told = now.throttled > begin.throttled && now.duration > begin.duration;
        if is_told || clock::now() > end {
            break now;
        }
    };
    // So that this process comes to its end soon.
    limit(&outer, None);
    assert!(throttling.throttled > begin.throttled, "{throttling:?}");
    assert!(throttling.duration > begin.duration, "{throttling:?}");
    assert!(throttling.periods > begin.periods, "{throttling:?}");
}

#[test]
fn a_process_without_descriptors_keeps_the_limit_that_it_knew() {
    let test = "child_runs_out_of_descriptors";
    assert_ran(&run_ignored(module_path!(), test, |command| command));
}

#[test]
#[ignore = "a_process_without_descriptors_keeps_the_limit_that_it_knew starts it in a process of its own"]
fn child_runs_out_of_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let tree = Tree::new("descriptors");
    tree.file("proc/self/cgroup", "0::/a\n")
        .file(
            "proc/self/mountinfo",
            "31 22 0:28 / /m rw - cgroup2 cgroup2 rw\n",
        )
        .file("m/a/cpu.max", "200000 100000\n");
    let mut cpus = Cpus::at(&tree.0);
    assert_eq!(cpus.available_of(64), 2);
    let usual = getrlimit(Resource::Nofile);
    let mut none = usual;
    none.current = Some(0);
    let with_none = |cpus: &mut Cpus| {
        setrlimit(Resource::Nofile, none).unwrap();
        let told = cpus.available_of(64);
        let is_refused = read_if_there(&tree.0.join("m/a/cpu.max")).is_err();
        setrlimit(Resource::Nofile, usual).unwrap();
        assert!(is_refused);
        told
    };
    assert_eq!(with_none(&mut cpus), 2);
    tree.file("m/a/cpu.max", "300000 100000\n");
    assert_eq!(with_none(&mut cpus), 2);
    assert_eq!(cpus.available_of(64), 3);
    assert_eq!(with_none(&mut Cpus::at(&tree.0)), 64);
}

#[test]
fn limits_that_must_not_be_read_any_more_are_as_they_were() {
    let test = "child_enters_a_sandbox";
    assert_ran(&run_ignored(module_path!(), test, |command| command));
}

/// To root nothing is forbidden, so its thread has fewer capabilities meanwhile.
#[test]
#[ignore = "limits_that_must_not_be_read_any_more_are_as_they_were starts it in a process of its own"]
fn child_enters_a_sandbox() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    use std::os::unix::fs::PermissionsExt;

    let tree = Tree::v2("sandbox", "/a");
    tree.max("/a", "200000 100000").max("", "500000 100000");
    let mut cpus = Cpus::at(&tree.0);
    assert_eq!(cpus.available_of(64), 2);
    let usual = capabilities(None).unwrap();
    let mut fewer = usual;
    let beyond_modes = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    fewer.effective.remove(beyond_modes);
    let told_without = |cpus: &mut Cpus, file: &str| {
        let path = tree.0.join(file);
        let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0);
        set_capabilities(None, fewer).unwrap();
        let told = cpus.available_of(64);
        let is_refused = fs::read(&path).is_err();
        set_capabilities(None, usual).unwrap();
        set_mode(0o644);
        assert!(is_refused, "{file}");
        told
    };
    let limit = "sys/fs/cgroup/a/cpu.max";
    assert_eq!(told_without(&mut cpus, limit), 2);
    // What could never be read limits nothing.
    assert_eq!(told_without(&mut Cpus::at(&tree.0), limit), 5);
    tree.max("/a", "300000 100000");
    assert_eq!(told_without(&mut cpus, "proc/self/cgroup"), 2);
    assert_eq!(cpus.available_of(64), 3);
    // Where there are fewer limits than before, the mounts are looked at again.
    tree.remove(limit);
    assert_eq!(told_without(&mut cpus, "proc/self/mountinfo"), 3);
    assert_eq!(cpus.available_of(64), 5);
}
