import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

// The programs that the tests run, besides Node and this project.
const programs = ['ip', 'openssl', 'prlimit', 'setpriv', 'ss', 'strace', 'unshare']

// The parts of the project that the tests read, without the dependencies that they do not load: compilers and formatters.
const parts = [
  'package.json',
  'tsconfig.json',
  'rolldown.config.mjs',
  'README.md',
  'docs',
  'dist',
  'src',
  'test',
]
const unneeded = [
  '.cache',
  '.vite',
  '.bin',
  '@biomejs',
  '@typescript',
  'typescript',
  '@types',
  'node-gyp',
  'prebuildify',
]

// In the order in which they depend on each other.
const modules = ['net/ipv4/inet_diag', 'net/ipv4/tcp_diag']

export const project = '/deadpeer'

/** The archive that the kernel unpacks as its root: this machine's Node with its libraries, the built project, and a shell. */
export function makeImage(folder, kernel) {
  const root = join(folder, 'root')
  rmSync(root, { recursive: true, force: true })
  for (const each of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'run', 'root', 'modules'])
    mkdirSync(join(root, each), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)

  cpSync(realpathSync(which('busybox')), join(root, 'bin/busybox'))
  for (const name of programs) copyProgram(root, which(name))
  copyProgram(root, process.execPath)
  copyPython(root)
  // Loaded by name only: the libraries for users and hosts, and the one that ends a thread.
  for (const library of ['libnss_files.so.2', 'libgcc_s.so.1']) copyLibrary(root, libraryNamed(library))
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n')
  if (existsSync('/etc/ssl/openssl.cnf')) {
    mkdirSync(join(root, 'usr/lib/ssl'), { recursive: true })
    cpSync('/etc/ssl/openssl.cnf', join(root, 'usr/lib/ssl/openssl.cnf'))
  }

  const target = join(root, project)
  mkdirSync(join(target, 'build/Release'), { recursive: true })
  mkdirSync(join(target, 'node_modules'))
  for (const part of parts) cpSync(part, join(target, part), { recursive: true, verbatimSymlinks: true })
  cpSync('build/Release/deadpeer.node', join(target, 'build/Release/deadpeer.node'))
  cpSync('build/native-test/none/tests', join(target, 'native-tests'))
  for (const name of readdirSync('node_modules')) {
    if (!unneeded.includes(name))
      cpSync(join('node_modules', name), join(target, 'node_modules', name), {
        recursive: true,
        verbatimSymlinks: true,
      })
  }

  // The test runner's compiler.
  for (const file of readdirSync('node_modules', { recursive: true })) {
    if (file.endsWith('.node')) copyLibrariesOf(root, join('node_modules', file))
  }

  for (const name of modules) writeFileSync(join(root, 'modules', moduleFile(name)), readModule(kernel, name))
  writeFileSync(join(root, 'modules/order'), `${modules.map(moduleFile).join('\n')}\n`)
  cpSync('test/kernels/init', join(root, 'init'))
  chmodSync(join(root, 'init'), 0o755)
  return archive(root, join(folder, 'root.cpio'))
}

function archive(root, file) {
  const out = openSync(file, 'w')
  const names = execFileSync('find', ['.', '-print0'], { cwd: root, maxBuffer: 2 ** 30 })
  execFileSync('cpio', ['--null', '--create', '--format=newc', '--owner=0:0', '--quiet'], {
    cwd: root,
    input: names,
    stdio: ['pipe', out, 'inherit'],
  })
  closeSync(out)
  return file
}

const moduleFile = (name) => `${name.split('/').at(-1)}.ko`

/** busybox cannot load compressed modules. */
function readModule(kernel, name) {
  const file = join(kernel.modules, 'kernel', `${name}.ko`)
  const options = { maxBuffer: 2 ** 26 }
  return existsSync(file)
    ? execFileSync('cat', [file], options)
    : execFileSync('xz', ['-dc', `${file}.xz`], options)
}

function which(name) {
  return execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${name}`], {
    encoding: 'utf8',
  }).trim()
}

function copyProgram(root, file) {
  const copy = join(root, 'bin', file.split('/').at(-1))
  cpSync(realpathSync(file), copy)
  copyLibrariesOf(root, file)
}

/** Python at its usual place, where it finds its library, without packages and Python's own tests. */
function copyPython(root) {
  const places =
    'import os, sys, sysconfig; print(os.path.realpath(sys.executable), sysconfig.get_path("stdlib"))'
  const [program, library] = execFileSync('python3', ['-c', places], { encoding: 'utf8' }).trim().split(' ')
  mkdirSync(dirname(join(root, program)), { recursive: true })
  cpSync(program, join(root, program))
  copyLibrariesOf(root, program)
  if (!existsSync(join(root, 'bin/python3'))) symlinkSync(program, join(root, 'bin/python3'))
  const isNeeded = (file) => !/\/(dist-packages|site-packages|test|config-[^/]*|__pycache__)$/.test(file)
  cpSync(library, join(root, library), { recursive: true, filter: isNeeded, dereference: true })
}

function copyLibrariesOf(root, file) {
  for (const [, library] of libraries(file).matchAll(/(\/\S+) \(0x/g)) copyLibrary(root, library)
}

function libraries(file) {
  try {
    return execFileSync('ldd', [realpathSync(file)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    return '' // Linked statically.
  }
}

function libraryNamed(name) {
  const line = execFileSync('sh', ['-c', 'PATH="$PATH:/sbin"; ldconfig -p'], { encoding: 'utf8' })
    .split('\n')
    .find((each) => each.includes(`${name} (libc6,x86-64)`))
  return line.split('=> ')[1]
}

/** To the path where it is looked up, as the file that it is. */
function copyLibrary(root, file) {
  const copy = join(root, file)
  if (existsSync(copy)) return
  mkdirSync(dirname(copy), { recursive: true })
  cpSync(realpathSync(file), copy)
}
