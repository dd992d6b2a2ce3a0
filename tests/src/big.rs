//! Components as large as a test wants them, with nothing in them but code to compile.

use wasm_encoder::{
    CodeSection, ComponentSection as _, Function, FunctionSection, MemorySection, MemoryType, Module, ModuleSection,
    TypeSection, ValType,
};

/// Rounds of work in one function, each of some 30 bytes.
const ROUNDS: i64 = 64;

/// `component` with a module more, so that it is at least `bytes` long. The module is compiled and never run.
pub fn grown(component: &[u8], bytes: usize) -> Vec<u8> {
    let mut code = CodeSection::new();
    let mut functions = FunctionSection::new();
    while component.len() + code.byte_len() < bytes {
        code.function(&function(i64::from(code.len())));
        functions.function(0);
    }
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64, ValType::I32], [ValType::I64]);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&code);
    let mut grown = component.to_vec();
    ModuleSection(&module).append_to_component(&mut grown);
    grown
}

/// Mixes its argument with constants and with memory; no two are alike.
fn function(number: i64) -> Function {
    let mut function = Function::new([]);
    let mut body = function.instructions();
    for round in 0..ROUNDS {
        let constant = (number << 8 | round).wrapping_mul(0x5851_f42d_4c95_7f2d);
        let place = wasm_encoder::MemArg { offset: (number * 8 % 60_000) as u64, align: 3, memory_index: 0 };
        body.local_get(0).i64_const(constant).i64_xor().local_get(1).i64_load(place).i64_add().local_set(0);
        body.local_get(1).local_get(0).i64_store(place);
    }
    body.local_get(0).end();
    function
}
