import Docker from 'dockerode'
import { PassThrough } from 'node:stream'

// DOCKER_HOST says where the daemon is; box:latest is there.
export const docker = new Docker()
export const Image = 'box:latest'

// make creates a container of a shell script, and removes it after the test.
export async function make (t, script, options = {}) {
  const container = await docker.createContainer({ Image, Cmd: ['sh', '-c', script], ...options })
  t.after(() => container.remove({ force: true, v: true }).catch(gone))
  return container
}

// gone is the one error that a removal may have.
export function gone (err) {
  if (err.statusCode !== 404 && err.statusCode !== 409) throw err
}

// text reads a stream to its end.
export async function text (stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

// demultiplexed reads both streams of one to their end.
export async function demultiplexed (stream) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  docker.modem.demuxStream(stream, stdout, stderr)
  stream.on('end', () => { stdout.end(); stderr.end() })
  stream.on('close', () => { stdout.end(); stderr.end() })
  return { stdout: await text(stdout), stderr: await text(stderr) }
}
