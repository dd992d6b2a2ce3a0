//! Registers what it should, and fails when it is activated.

mod misfit;

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest"], || Err("cannot be activated, on purpose".to_owned()));
