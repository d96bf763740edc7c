import { isBuiltin } from 'node:module'

/** `const require_overlay = require("./overlay.js");`, as rolldown writes it for a file of the package. */
const ofFile = /^const require_(\w+) = (require\("\.{1,2}\/[^"]+"\));$/gm
/** `let node_net = require("node:net");`, and the line after it if there is a default import. */
const ofModule = /^let (\w+) = (require\("([^"]+)"\));$(\n\1 = [\w.]+\(\1, 1\);$)?/gm
/** An export for another file of the package. Only a variable needs it; a value costs a fifth of the text. */
const getter =
  /^Object\.defineProperty\(exports, "(\w+)", {\s+enumerable: true,\s+get: function \(\) {\s+return \1;\s+}\s+}\);$/gm

/**
 * A rolldown plugin for CommonJS output: a file loads another file of the package, or a module of Node, when it first uses it. Otherwise
 * `import 'deadpeer'` would load all of them. Other packages are loaded at once, so a missing one is an error of the import.
 *
 * @param functions by entry point: the exported functions that load their file when they are called.
 */
export function loadAtFirstUse(functions) {
  return {
    name: 'load-at-first-use',
    renderChunk(code, { name: entry }) {
      const files = []
      const modules = []
      const declared = code
        .replaceAll(ofFile, (_, name, load) => {
          files.push(name)
          return declare(name, load)
        })
        .replaceAll(ofModule, (all, name, load, specifier) => {
          if (!isBuiltin(specifier)) return all
          modules.push(name)
          return declare(name, load)
        })
      const used = declared
        .replaceAll(uses(files, 'require_', ''), use)
        // A default import of a module of Node is the module.
        .replaceAll(uses(modules, '', '(?:\\.default\\b)?'), use)
      const exported = used.replaceAll(getter, (all, name) =>
        new RegExp(`^let ${name}\\b`, 'm').test(used) ? all : `exports.${name} = ${name};`,
      )
      return (functions[entry] ?? []).reduce(loadAtFirstCall, exported)
    },
  }
}

function declare(name, load) {
  return `let loaded_${name};\nfunction load_${name}() {\n\treturn loaded_${name} ??= ${load};\n}`
}

function uses(names, before, after) {
  if (names.length === 0) return /(?!)/g
  return new RegExp(`(\\bnew )?\\b${before}(${names.join('|')})\\b${after}`, 'g')
}

/** `new load_x().Class()` would be `(new load_x()).Class()`. */
function use(_, asConstructor, name) {
  return asConstructor ? `new (load_${name}())` : `load_${name}()`
}

function loadAtFirstCall(code, name) {
  const exported = new RegExp(`^exports\\.${name} = (load_\\w+\\(\\)\\.${name});$`, 'm')
  if (!exported.test(code)) throw new Error(`The entry point has no function ${name} from another file.`)
  return code.replace(exported, `exports.${name} = function ${name}(...args) {\n\treturn $1(...args);\n};`)
}
