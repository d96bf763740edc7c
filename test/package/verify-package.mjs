// Checks the package as users get it: packed, installed into an empty project on a machine without a compiler, and used.
//   npm run verify:package
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchPackage } from '../../native/fetched.mjs'
import { platforms } from '../../native/platforms.mjs'
import { Project } from './project.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const largest = 700_000
/** Installed, in kB, as du counts it: in blocks of the disk. */
const largestInstalled = 2_441
/** Beside the declarations and modules in dist, of which tests import what there is. */
const expected = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'package.json',
  ...platforms.map(({ file }) => relative('.', file)),
]

/** Files for contributors, and the reference, which users have in the declarations. */
const inRepositoryAlone =
  /^(CONTRIBUTING|SECURITY)\.md$|^docs\/api\/|^docs\/(internals|verification)\.md$|^docs\/soak\.svg$/

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
const specifiers = entries.map((entry) => entry.replace(/^\./, 'deadpeer'))

const folder = mkdtempSync(join(tmpdir(), 'deadpeer-package-'))
try {
  const { filename, size, unpackedSize, files } = pack()
  const tarball = join(folder, filename)
  checkFiles(
    files.map(({ path }) => path),
    size,
  )
  console.log(`# ${filename}: ${size} bytes packed, ${unpackedSize} unpacked, ${files.length} files`)
  checkByOthers(tarball)

  const project = Project.create()
  try {
    const warnings = project.install(tarball)
    assert.equal(warnings, '', 'npm must not warn at installation')
    checkInstalled(project)
    execFileSync(process.execPath, ['test/package/verify-installed.mjs', project.folder], {
      stdio: 'inherit',
    })
    checkTypes(project)
  } finally {
    project.remove()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Without the package's scripts: npm run verify:package has already run them. */
function pack() {
  const options = ['--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', folder]
  const output = execFileSync('npm', ['pack', ...options], { encoding: 'utf8' })
  return JSON.parse(output)[0]
}

function checkFiles(paths, size) {
  assert.ok(size < largest, `the package must be smaller than ${largest} bytes; got ${size}`)
  for (const path of expected) assert.ok(paths.includes(path), `the package must contain ${path}`)
  const others = paths.filter((path) => !expected.includes(path))
  const unexpected = others.filter(
    (path) => !/^dist\/(package\.json|.*\.(m?js|d\.m?ts))$|^docs\/[\w-]+\.(md|svg)$/.test(path),
  )
  assert.deepEqual(unexpected, [], 'files that users do not need')

  const links = readFileSync('README.md', 'utf8').matchAll(/\]\(([^):#]+)[^)]*\)/g)
  const linked = [...links].map(([, path]) => path).filter((path) => !path.startsWith('http'))
  assert.ok(linked.length > 0)
  const dangling = linked.filter((path) => !paths.includes(path) && !inRepositoryAlone.test(path))
  assert.deepEqual(dangling, [], "the README's links to what is not in the package")

  const atInstall = ['preinstall', 'install', 'postinstall'].filter((name) => name in manifest.scripts)
  assert.deepEqual(atInstall, [], 'scripts that would run at installation')
  // If there is a binding.gyp, npm would add an install script.
  assert.ok(!paths.includes('binding.gyp'))
}

function checkByOthers(tarball) {
  const publint = join(fetchPackage('publint', '0.3.25'), 'src/cli.js')
  execFileSync(process.execPath, [publint, 'run', tarball, '--strict'], { stdio: 'inherit' })

  const name = '@arethetypeswrong/cli'
  const typesWrong = join(fetchPackage(name, '0.18.5'), 'dist/index.js')
  const options = ['--profile', 'strict', '--format', 'json']
  const { status, stdout } = spawnSync(process.execPath, [typesWrong, tarball, ...options], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { analysis, problems } = JSON.parse(stdout)
  assert.equal(status, 0, JSON.stringify(problems, undefined, 2))
  for (const entry of entries) {
    for (const mode of ['node10', 'node16-cjs', 'node16-esm', 'bundler']) {
      const { resolution } = analysis.entrypoints[entry].resolutions[mode]
      assert.ok(resolution?.isTypeScript, `${entry} must have types in mode ${mode}`)
    }
  }
  console.log(
    `# ${name}: ${entries.length} entry points have types in node10, node16, by import and require, and bundler`,
  )
}

function checkInstalled(project) {
  const sizeOf = (path) =>
    Number.parseInt(execFileSync('du', ['-sk', join(project.folder, path)], { encoding: 'utf8' }), 10)
  const size = sizeOf('node_modules/deadpeer')
  assert.ok(size <= largestInstalled, `installed it must take at most ${largestInstalled} kB; got ${size}`)
  console.log(`# installed: ${size} kB, and ${sizeOf('node_modules')} kB with its dependency`)
  for (const specifier of specifiers) {
    const quoted = JSON.stringify(specifier)
    project.run('node', '--input-type=module', '-e', `await import(${quoted})`)
    project.run('node', '--no-warnings', '--input-type=commonjs', '-e', `require(${quoted})`)
  }
  const withoutUndici = `import('deadpeer/undici').then(({ createAgent }) => createAgent()).catch(({ code, message }) => console.log(code, message))`
  assert.match(project.run('node', '-e', withoutUndici), /^MODULE_NOT_FOUND .*'undici'/)
  console.log(
    `# ${specifiers.length} entry points can be imported and required, without undici and prom-client`,
  )
}

function checkTypes(project) {
  const { devDependencies } = manifest
  project.install(
    `@types/node@${devDependencies['@types/node']}`,
    `undici@${devDependencies.undici}`,
    `prom-client@${devDependencies['prom-client']}`,
  )
  assert.equal(
    project.run(
      'node',
      '-e',
      "import('deadpeer/undici').then(({ createAgent }) => console.log(typeof createAgent))",
    ),
    'function\n',
  )
  const users = [
    ['node16', 'node16', 'typed.mts'],
    ['esnext', 'bundler', 'typed.mts'],
    // By require.
    ['nodenext', 'nodenext', 'typed.cts'],
  ]
  for (const [module, moduleResolution, file] of users) {
    cpSync(join(project.folder, 'typed.ts'), join(project.folder, file))
    project.write('tsconfig.json', {
      compilerOptions: {
        module,
        moduleResolution,
        target: 'es2023',
        strict: true,
        noEmit: true,
        types: ['node'],
        skipLibCheck: false,
      },
      files: [file],
    })
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '--project', project.folder], {
      stdio: 'inherit',
    })
    console.log(`# types: ${moduleResolution}, ${file}`)
  }
}
