//! Finds the programs that the lab runs.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::{Error, Result},
    options::LabOptions,
};

/// Debian's directory of PostgreSQL versions.
const POSTGRES_ROOT: &str = "/usr/lib/postgresql";
const OLDEST_POSTGRES: u32 = 15;
const APP: &str = "tierscope-lab-app";

/// An installed program.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file, without links.
    pub path: PathBuf,
    /// Its own version, e.g. `1.22.1`.
    pub version: String,
}

/// The three programs.
#[derive(Debug, Clone)]
pub struct Programs {
    pub nginx: Program,
    pub app: Program,
    /// `postgres`; initdb and psql lie beside it.
    pub postgres: Program,
}

impl Programs {
    /// Finds all three.
    ///
    /// # Errors
    /// [`Error::Missing`] names the first that is not there.
    pub fn find(options: &LabOptions) -> Result<Self> {
        Ok(Self {
            nginx: nginx()?,
            app: app(options.app.as_deref())?,
            postgres: postgres(Path::new(POSTGRES_ROOT))?,
        })
    }
}

fn nginx() -> Result<Program> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .find_map(|dir| executable(&dir.join("nginx")))
        .ok_or(Error::Missing {
            program: "nginx",
            searched: "PATH or /usr/sbin".to_owned(),
            remedy: "apt-get install nginx",
        })
        .and_then(|path| versioned(path, "-v"))
}

/// The newest version: a `postgres` in PATH may be anything.
fn postgres(root: &Path) -> Result<Program> {
    let versions = std::fs::read_dir(root).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(version, _): &(u32, PathBuf)| *version >= OLDEST_POSTGRES)
        .filter_map(|(version, dir)| Some((version, executable(&dir.join("bin/postgres"))?)))
        .max()
        .ok_or_else(|| Error::Missing {
            program: "PostgreSQL 15 or newer",
            searched: format!("{}/*/bin", root.display()),
            remedy: "apt-get install postgresql postgresql-contrib",
        })
        .and_then(|(_, path)| versioned(path, "--version"))
}

/// The file given, else the one beside the running program or, for a test in `deps`, above it.
fn app(given: Option<&Path>) -> Result<Program> {
    let this = std::env::current_exe().unwrap_or_default();
    let candidates: Vec<PathBuf> = match given {
        Some(path) => vec![path.to_path_buf()],
        None => this
            .ancestors()
            .skip(1)
            .take(2)
            .map(|d| d.join(APP))
            .collect(),
    };
    candidates
        .iter()
        .find_map(|path| executable(path))
        .ok_or_else(|| Error::Missing {
            program: APP,
            searched: candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(" or "),
            remedy: "cargo build --release -p tierscope-lab-app",
        })
        .and_then(|path| versioned(path, "--version"))
}

fn executable(path: &Path) -> Option<PathBuf> {
    let meta = path.metadata().ok()?;
    let runs = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    runs.then(|| path.canonicalize().ok()).flatten()
}

/// Asks a program for its version; nginx answers on stderr.
fn versioned(path: PathBuf, flag: &str) -> Result<Program> {
    let output = Command::new(&path)
        .arg(flag)
        .output()
        .map_err(Error::io("run", &path))?;
    let said = [output.stdout, output.stderr].concat();
    let version = version_in(&String::from_utf8_lossy(&said));
    Ok(Program { path, version })
}

/// The first number with a dot in what a program says of itself.
fn version_in(text: &str) -> String {
    text.split([' ', '/', '\n'])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .unwrap_or("unknown")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_what_programs_say() {
        assert_eq!(version_in("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(
            version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            "15.18"
        );
        assert_eq!(version_in("tierscope-lab-app 0.1.0\n"), "0.1.0");
        assert_eq!(version_in(""), "unknown");
    }

    #[test]
    fn newest_postgres_that_is_new_enough_is_taken() {
        let root = tempfile::tempdir().expect("directory");
        let missing = postgres(root.path()).expect_err("no version").to_string();
        assert!(missing.contains("apt-get install postgresql"), "{missing}");
        for version in ["9", "14", "15", "16"] {
            let bin = root.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).expect("directory");
            // A directory with no executable in it is a version that was removed.
            if version != "16" {
                std::os::unix::fs::symlink("/bin/true", bin.join("postgres")).expect("link");
            }
        }
        assert!(postgres(root.path()).is_ok());
        std::fs::remove_dir_all(root.path().join("15")).expect("removed");
        assert!(matches!(postgres(root.path()), Err(Error::Missing { .. })));
    }
}
