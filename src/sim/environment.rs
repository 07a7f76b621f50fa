//! `EXECUTOR_SIM`: which runs of a test are made.
//!
//! | setting | meaning |
//! |---|---|
//! | `seed=N` | the run with this seed, or with `runs=` the first of them |
//! | `runs=N` | so many runs, whatever the test asks for |
//! | `jobs=N` | on so many threads |
//! | `choices=t17=2+n3=1` | the one run with these choices |
//! | `twice=1` | each run twice, see [`Sim::run_twice`](super::Sim::run_twice) |
//!
//! Numbers may be hexadecimal (`0x2a`). Settings are separated by commas.

const VARIABLE: &str = "EXECUTOR_SIM";

/// What the variable says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) seed: Option<u64>,
    pub(super) runs: Option<u64>,
    pub(super) jobs: Option<u64>,
    pub(super) choices: Option<String>,
    pub(super) twice: bool,
}

impl Environment {
    /// # Panics
    ///
    /// If it cannot be understood: a replay that replays something else would mislead.
    pub(super) fn read() -> Environment {
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        let value = value.to_string_lossy();
        Environment::parse(&value).unwrap_or_else(|setting| {
            panic!(
                "{VARIABLE}: {setting:?} is not understood; there are seed=, runs=, jobs=, choices= and twice=1"
            )
        })
    }

    /// The error is what was not understood.
    fn parse(value: &str) -> Result<Environment, &str> {
        let mut environment = Environment::default();
        let settings = value.split(',').map(str::trim);
        for setting in settings.filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').ok_or(setting)?;
            let parsed = number(value).ok_or(setting);
            match key {
                "seed" => environment.seed = Some(parsed?),
                "runs" => environment.runs = Some(parsed?),
                "jobs" => environment.jobs = Some(parsed?.max(1)),
                "twice" => environment.twice = parsed? != 0,
                "choices" => environment.choices = Some(value.replace('+', " ")),
                _ => return Err(setting),
            }
        }
        Ok(environment)
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_others_named() {
        assert_eq!(Environment::parse(""), Ok(Environment::default()));
        let all = Environment::parse("seed=0x2a, runs=10,jobs=0,choices=t1=2+n3=4,twice=1");
        let expected = Environment {
            seed: Some(42),
            runs: Some(10),
            jobs: Some(1),
            choices: Some("t1=2 n3=4".to_owned()),
            twice: true,
        };
        assert_eq!(all, Ok(expected));
        for wrong in ["seed", "seed=x", "runs=-1", "sed=1"] {
            assert_eq!(Environment::parse(&format!("jobs=2,{wrong}")), Err(wrong));
        }
    }
}
