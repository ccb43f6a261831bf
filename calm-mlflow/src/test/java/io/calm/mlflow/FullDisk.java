package io.calm.mlflow;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

import org.jspecify.annotations.Nullable;

/** A file on a disk that has room for so many bytes more, and then writes half of it. */
final class FullDisk extends FileChannel {

	private final FileChannel file;

	long room = Long.MAX_VALUE;

	FullDisk(FileChannel file) {
		this.file = file;
	}

	@Override
	public int write(ByteBuffer source) throws IOException {
		int written = write(source, position());
		position(position() + written);
		return written;
	}

	@Override
	public int write(ByteBuffer source, long position) throws IOException {
		if (this.room == 0) {
			throw new IOException("No space left on device");
		}
		int some = (int) Math.min(source.remaining(), this.room);
		int written = this.file.write(source.slice(source.position(), some), position);
		source.position(source.position() + written);
		this.room -= written;
		return written;
	}

	@Override
	public int read(ByteBuffer target) throws IOException {
		return this.file.read(target);
	}

	@Override
	public int read(ByteBuffer target, long position) throws IOException {
		return this.file.read(target, position);
	}

	@Override
	public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
		return this.file.read(targets, offset, length);
	}

	@Override
	public long write(ByteBuffer[] sources, int offset, int length) {
		throw new UnsupportedOperationException();
	}

	@Override
	public long position() throws IOException {
		return this.file.position();
	}

	@Override
	public FileChannel position(long position) throws IOException {
		this.file.position(position);
		return this;
	}

	@Override
	public long size() throws IOException {
		return this.file.size();
	}

	@Override
	public FileChannel truncate(long size) throws IOException {
		this.file.truncate(size);
		return this;
	}

	@Override
	public void force(boolean metaData) throws IOException {
		this.file.force(metaData);
	}

	@Override
	public long transferTo(long position, long count, WritableByteChannel target) {
		throw new UnsupportedOperationException();
	}

	@Override
	public long transferFrom(ReadableByteChannel source, long position, long count) {
		throw new UnsupportedOperationException();
	}

	@Override
	public MappedByteBuffer map(MapMode mode, long position, long size) {
		throw new UnsupportedOperationException();
	}

	@Override
	public FileLock lock(long position, long size, boolean shared) throws IOException {
		return this.file.lock(position, size, shared);
	}

	@Override
	public @Nullable FileLock tryLock(long position, long size, boolean shared) throws IOException {
		return this.file.tryLock(position, size, shared);
	}

	@Override
	protected void implCloseChannel() throws IOException {
		this.file.close();
	}

}
