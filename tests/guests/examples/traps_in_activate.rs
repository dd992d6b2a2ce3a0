//! Registers what it should, and traps when it is activated.

mod misfit;

fn activate() -> Result<(), String> {
    panic!("trapped on purpose, while activating");
}

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest"], activate);
