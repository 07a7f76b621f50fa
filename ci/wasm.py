"""Runs a WebAssembly module in wasmtime.

wasm.py MODULE.wasm [ARGUMENT...]      a WASI program: its output is shown, its exit code is this script's
wasm.py --call FUNCTION MODULE.wasm    a library that must import nothing: calls the function, prints how many tests it says

A trap, as a panic that aborts ends in, is exit code 134, as of a process that aborts.
"""

import sys

import wasmtime

TRAPPED = 134


def call(name, path):
    engine = wasmtime.Engine()
    module = wasmtime.Module.from_file(engine, path)
    imports = [f"{one.module}.{one.name}" for one in module.imports]
    if imports:
        sys.exit(f"{path} imports {', '.join(imports)}")
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, module, []).exports(store)
    print(f"{exports[name](store)} tests")


def run(path, arguments):
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    wasi = wasmtime.WasiConfig()
    wasi.argv = [path, *arguments]
    wasi.inherit_env()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    store.set_wasi(wasi)
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, path))
    instance.exports(store)["_start"](store)


def main():
    try:
        if sys.argv[1] == "--call":
            call(sys.argv[2], sys.argv[3])
        else:
            run(sys.argv[1], sys.argv[2:])
    except wasmtime.ExitTrap as ended:
        sys.exit(ended.code)
    except wasmtime.Trap as trap:
        print(f"trap: {trap.message.splitlines()[-1].strip()}", file=sys.stderr)
        sys.exit(TRAPPED)
    except wasmtime.WasmtimeError as error:
        print(f"trap: {str(error).splitlines()[-1].strip()}", file=sys.stderr)
        sys.exit(TRAPPED)


main()
