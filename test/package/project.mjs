import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const users = fileURLToPath(new URL('users', import.meta.url))

/** All programs on the PATH there. */
const MACHINE = '.machine'

/** A user's empty project, on a machine with only Node and npm: no compiler, no command-line tools. */
export class Project {
  /** @param {string} folder made by {@link Project.create} */
  constructor(folder) {
    this.folder = folder
  }

  static create() {
    const project = new Project(mkdtempSync(join(tmpdir(), 'deadpeer-user-')))
    const bin = join(project.folder, MACHINE)
    mkdirSync(bin)
    symlinkSync(process.execPath, join(bin, 'node'))
    symlinkSync(whereIs('npm'), join(bin, 'npm'))
    project.write('package.json', { private: true })
    cpSync(users, project.folder, { recursive: true })
    return project
  }

  write(file, content) {
    writeFileSync(join(this.folder, file), JSON.stringify(content))
  }

  /** @returns what npm warns of */
  install(...packages) {
    const options = ['--no-audit', '--no-fund', '--loglevel=warn', '--prefer-offline']
    const { status, stderr } = this.#spawn('npm', ['install', ...options, ...packages])
    if (status !== 0) throw new Error(`npm install ${packages.join(' ')}: ${stderr}`)
    return stderr
  }

  /** @returns its output */
  run(program, ...args) {
    const { status, signal, stdout, stderr } = this.#spawn(program, args)
    process.stderr.write(stderr)
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? status}`)
    return stdout
  }

  #spawn(program, args) {
    // Without the variables that npm sets for the scripts that it runs.
    const others = Object.entries(process.env).filter(
      ([name]) => !/^npm_(?!config_(registry|cache)$)/.test(name),
    )
    const { error, ...result } = spawnSync(program, args, {
      cwd: this.folder,
      env: { ...Object.fromEntries(others), PATH: join(this.folder, MACHINE) },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (error) throw error
    return result
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function whereIs(program) {
  for (const folder of process.env.PATH.split(delimiter)) {
    try {
      return realpathSync(join(folder, program))
    } catch {}
  }
  throw new Error(`Found no ${program} on the PATH.`)
}
