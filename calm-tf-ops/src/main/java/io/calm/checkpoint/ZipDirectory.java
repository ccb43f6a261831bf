package io.calm.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

import io.calm.input.InvalidInputException;

/**
 * Where the members of a zip file lie, ZIP64 included. {@code java.util.zip} does not
 * tell, and only with the place can a tensor be mapped.
 *
 * @see <a href="https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT">The zip
 * format</a>
 */
final class ZipDirectory {

	private static final int END = 0x06054b50;

	private static final int END_SIZE = 22;

	private static final int LONGEST_COMMENT = 0xffff;

	private static final int LOCATOR_64 = 0x07064b50;

	private static final int LOCATOR_64_SIZE = 20;

	private static final int END_64 = 0x06064b50;

	private static final int END_64_SIZE = 56;

	private static final int MEMBER = 0x02014b50;

	private static final int MEMBER_SIZE = 46;

	private static final int LOCAL = 0x04034b50;

	private static final int LOCAL_SIZE = 30;

	/** Stands where the value is in the ZIP64 fields. */
	private static final long ELSEWHERE = 0xffffffffL;

	private static final int LARGEST = 32 << 20;

	private final OpenFile file;

	private final Map<String, Member> members = new HashMap<>();

	private ZipDirectory(OpenFile file) {
		this.file = file;
	}

	static ZipDirectory read(OpenFile file) {
		ZipDirectory directory = new ZipDirectory(file);
		ByteBuffer members = directory.members();
		while (members.hasRemaining()) {
			directory.readMember(members);
		}
		return directory;
	}

	Set<String> names() {
		return this.members.keySet();
	}

	boolean contains(String name) {
		return this.members.containsKey(name);
	}

	long size(String name) {
		return member(name).size();
	}

	long checksum(String name) {
		return member(name).checksum();
	}

	/** Where the bytes of a member begin; all of them lie within the file. */
	long offset(String name) {
		Member member = member(name);
		if (!this.file.holds(member.header(), LOCAL_SIZE)) {
			throw damaged();
		}
		ByteBuffer local = this.file.bytes(member.header(), LOCAL_SIZE);
		long offset = member.header() + LOCAL_SIZE + unsigned(local, 26) + unsigned(local, 28);
		if (local.getInt(0) != LOCAL || !this.file.holds(offset, member.size())) {
			throw damaged();
		}
		return offset;
	}

	private Member member(String name) {
		Member member = this.members.get(name);
		if (member == null) {
			throw this.file.invalid("has no member " + OpenFile.shown(name), "download or copy it again");
		}
		// nothing is ever inflated, so there is no zip bomb
		if (!member.stored()) {
			throw this.file.invalid("the member " + OpenFile.shown(name) + " is compressed or encrypted",
					"save it with torch.save, which does neither");
		}
		return member;
	}

	/** The central directory. */
	private ByteBuffer members() {
		int length = (int) Math.min(this.file.size(), END_SIZE + LONGEST_COMMENT);
		long start = this.file.size() - length;
		ByteBuffer tail = this.file.bytes(start, length);
		for (int at = length - END_SIZE; at >= 0; at--) {
			if (tail.getInt(at) == END && at + END_SIZE + unsigned(tail, at + 20) == length) {
				long size = unsignedInt(tail, at + 12);
				long offset = unsignedInt(tail, at + 16);
				int locator = at - LOCATOR_64_SIZE;
				if (locator >= 0 && tail.getInt(locator) == LOCATOR_64) {
					ByteBuffer end = end64(tail.getLong(locator + 8));
					size = end.getLong(40);
					offset = end.getLong(48);
				}
				if (!this.file.holds(offset, size) || size > LARGEST) {
					throw damaged();
				}
				return this.file.bytes(offset, (int) size);
			}
		}
		throw damaged();
	}

	private ByteBuffer end64(long offset) {
		if (!this.file.holds(offset, END_64_SIZE)) {
			throw damaged();
		}
		ByteBuffer end = this.file.bytes(offset, END_64_SIZE);
		if (end.getInt(0) != END_64) {
			throw damaged();
		}
		return end;
	}

	private void readMember(ByteBuffer directory) {
		int at = directory.position();
		if (directory.remaining() < MEMBER_SIZE || directory.getInt(at) != MEMBER) {
			throw damaged();
		}
		int nameLength = unsigned(directory, at + 28);
		int extraLength = unsigned(directory, at + 30);
		int length = MEMBER_SIZE + nameLength + extraLength + unsigned(directory, at + 32);
		if (directory.remaining() < length) {
			throw damaged();
		}
		boolean encrypted = (directory.getShort(at + 8) & 1) != 0;
		boolean stored = !encrypted && directory.getShort(at + 10) == 0;
		long checksum = unsignedInt(directory, at + 16);
		long packed = unsignedInt(directory, at + 20);
		long size = unsignedInt(directory, at + 24);
		long header = unsignedInt(directory, at + 42);
		ByteBuffer extra = zip64(directory, at + MEMBER_SIZE + nameLength, extraLength);
		// those of the three that are elsewhere follow in this order
		size = (size == ELSEWHERE) ? next(extra) : size;
		packed = (packed == ELSEWHERE) ? next(extra) : packed;
		header = (header == ELSEWHERE) ? next(extra) : header;
		String name = StandardCharsets.UTF_8.decode(directory.slice(at + MEMBER_SIZE, nameLength)).toString();
		if (stored && size != packed
				|| this.members.putIfAbsent(name, new Member(header, size, checksum, stored)) != null) {
			throw damaged();
		}
		directory.position(at + length);
	}

	/** The ZIP64 field among a member's extra fields; empty if it has none. */
	private ByteBuffer zip64(ByteBuffer directory, int start, int length) {
		int end = start + length;
		for (int at = start; at + 4 <= end; at += 4 + unsigned(directory, at + 2)) {
			int size = unsigned(directory, at + 2);
			if (at + 4 + size > end) {
				throw damaged();
			}
			if (directory.getShort(at) == 1) {
				return directory.slice(at + 4, size).order(directory.order());
			}
		}
		return ByteBuffer.allocate(0);
	}

	private long next(ByteBuffer extra) {
		if (extra.remaining() < Long.BYTES) {
			throw damaged();
		}
		return extra.getLong();
	}

	private static int unsigned(ByteBuffer bytes, int position) {
		return Short.toUnsignedInt(bytes.getShort(position));
	}

	private static long unsignedInt(ByteBuffer bytes, int position) {
		return Integer.toUnsignedLong(bytes.getInt(position));
	}

	private InvalidInputException damaged() {
		return this.file.invalid("is a truncated or damaged zip file", "download or copy it again");
	}

	private record Member(long header, long size, long checksum, boolean stored) {

	}

}
