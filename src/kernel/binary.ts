import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Relative to this file, in src as in dist. */
const LOCAL_BUILD = '../../build/Release/deadpeer.node'
/** The asset of a single executable. */
const ASSET = 'deadpeer.node'

const inBundles =
  'If a bundler made this program, leave deadpeer out of the bundle and install it beside the program ' +
  "(esbuild: --external:deadpeer; webpack: externals: [/^deadpeer/], externalsType: 'commonjs'; Rollup and Vite: external: [/^deadpeer/]), " +
  'or include the binary: docs/install.md of the package says how'

/**
 * Loads the binary of this system. Throws an error with the reason if that fails.
 *
 * @param path the absolute path of another binary than the package's.
 */
export function loadBinary(path?: string): object {
  if (path !== undefined) return createRequire(path)(path)
  const embedded = embeddedBinary()
  if (embedded) return embedded
  const platform = `${process.arch}-${isGlibc() ? 'glibc' : 'musl'}`
  try {
    return shippedBinary(platform)
  } catch (error) {
    if (isFound(error)) throw reasonOf(error as Error)
    const local = localBuild()
    if (local) return local
    throw new Error(notFound(platform, error as Error))
  }
}

function notFound(platform: string, { message }: Error): string {
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    return `the package has binaries for x64 and arm64, and this is ${process.arch}`
  }
  if (isSingleExecutable()) {
    const [arch, libc] = platform.split('-')
    const file = `node_modules/deadpeer/prebuilds/linux-${arch}/deadpeer.${libc}.node`
    return `this single executable has no asset ${ASSET}. Add to its configuration: "assets": { "${ASSET}": "${file}" }`
  }
  return `the package's binary for linux-${platform} was not found (${message.split('\n')[0]}). ${inBundles}`
}

/** Calls with literal paths: bundlers and file tracers find the binaries by them. */
function shippedBinary(platform: string): object {
  switch (platform) {
    case 'x64-glibc':
      return require('../../prebuilds/linux-x64/deadpeer.glibc.node')
    case 'x64-musl':
      return require('../../prebuilds/linux-x64/deadpeer.musl.node')
    case 'arm64-glibc':
      return require('../../prebuilds/linux-arm64/deadpeer.glibc.node')
    case 'arm64-musl':
      return require('../../prebuilds/linux-arm64/deadpeer.musl.node')
    default:
      throw new Error('no such binary')
  }
}

/** Whether the file was there. The error says why it was not loaded. */
function isFound(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_DLOPEN')
}

function reasonOf(error: Error & { code?: string }): Error {
  return error.code === 'ERR_DLOPEN_DISABLED'
    ? new Error(`${error.message} Start Node with --allow-addons`, { cause: error })
    : error
}

function isSingleExecutable(): boolean {
  return process.getBuiltinModule('node:sea')?.isSea() ?? false
}

/** The binary that a Node single executable has as an asset. It must be a file to be loaded. */
function embeddedBinary(): object | undefined {
  if (!isSingleExecutable()) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-'))
  try {
    const file = join(folder, ASSET)
    const binary = process.getBuiltinModule('node:sea').getRawAsset(ASSET) as ArrayBuffer
    writeFileSync(file, new Uint8Array(binary))
    return createRequire(file)(file)
  } catch (error) {
    if (isFound(error)) throw error
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `npm run build` made. No bundler should look for it, so the path is no literal argument. */
function localBuild(): object | undefined {
  try {
    return createRequire(import.meta.url)(LOCAL_BUILD)
  } catch (error) {
    if (isFound(error)) throw error
    return undefined
  }
}

/**
 * Whether this process runs on glibc. The system may have both libraries, and an explicit loader runs Node with either. What is mapped says it
 * in half a millisecond. Where that cannot be read, Node's report says it, in five. The report leaves out the network part, which looks up the name
 * of each peer.
 */
function isGlibc(): boolean {
  try {
    if (/\/libc(\.so\.6|-2\.\d+\.so)$/m.test(readFileSync('/proc/self/maps', 'latin1'))) return true
  } catch {
    // Without /proc, or without the permission to read it.
  }
  // Since Node 20.13.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  report.excludeNetwork = true
  try {
    const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
    return header.glibcVersionRuntime !== undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}
