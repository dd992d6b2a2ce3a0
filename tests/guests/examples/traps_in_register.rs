//! Traps when it is asked what it handles.

mod misfit;

fn register() -> [&'static str; 2] {
    panic!("trapped on purpose, while registering");
}

misfit::misfit!(register, || Ok(()));
