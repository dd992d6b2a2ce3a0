//! Registers a name that is not reverse-DNS.

mod misfit;

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest", "no name at all"], || Ok(()));
