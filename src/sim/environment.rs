//! `EXECUTOR_SIM`: which runs of a test are made. See [`check`](super::check()).

use crate::simulated::choices::List;

const VARIABLE: &str = "EXECUTOR_SIM";

/// What the variable says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) seed: Option<u64>,
    pub(super) runs: Option<u64>,
    pub(super) jobs: Option<u64>,
    pub(super) choices: Option<List>,
    pub(super) twice: bool,
}

impl Environment {
    /// # Panics
    ///
    /// If it cannot be understood: a replay that replays something else would mislead.
    pub(super) fn read() -> Environment {
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        let value = value.to_string_lossy();
        Environment::parse(&value).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
    }

    fn parse(value: &str) -> Result<Environment, String> {
        let mut environment = Environment::default();
        let settings = value.split(',').map(str::trim);
        for setting in settings.filter(|setting| !setting.is_empty()) {
            let what = || {
                format!(
                    "{setting:?} is not understood; there are seed=, runs=, jobs=, choices= and twice=1"
                )
            };
            let (key, value) = setting.split_once('=').ok_or_else(what)?;
            let parsed = number(value).ok_or_else(what);
            match key {
                "seed" => environment.seed = Some(parsed?),
                "runs" if value == "0" => return Err("runs=0 would test nothing".to_owned()),
                "runs" => environment.runs = Some(parsed?),
                "jobs" => environment.jobs = Some(parsed?.max(1)),
                "twice" => environment.twice = parsed? != 0,
                "choices" => {
                    let list = value.replace('+', " ").parse();
                    let not_one = |word| format!("{word:?} is no choice of a simulation");
                    environment.choices = Some(list.map_err(not_one)?);
                }
                _ => return Err(what()),
            }
        }
        if environment.choices.is_some()
            && (environment.seed.is_some() || environment.runs.is_some())
        {
            return Err(
                "choices= are one run: with them there is no seed= and no runs=".to_owned(),
            );
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
        let all = Environment::parse("seed=0x2a, runs=10,jobs=0,twice=1");
        let expected = Environment {
            seed: Some(42),
            runs: Some(10),
            jobs: Some(1),
            choices: None,
            twice: true,
        };
        assert_eq!(all, Ok(expected));
        let replay = Environment::parse("choices=t1=2+n3=4,twice=1").unwrap();
        assert_eq!(replay.choices.unwrap().to_string(), "t1=2 n3=4");
        assert!(replay.twice);
        for wrong in ["seed", "seed=x", "runs=-1", "sed=1", "choices=x1=2"] {
            let error = Environment::parse(&format!("jobs=2,{wrong}")).unwrap_err();
            let named = wrong.strip_prefix("choices=").unwrap_or(wrong);
            assert!(error.starts_with(&format!("{named:?} is no")), "{error}");
        }
        assert!(Environment::parse("choices=t1=2,seed=3").is_err());
        assert!(Environment::parse("runs=0").is_err());
    }
}
