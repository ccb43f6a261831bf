package io.calm.streaming;

import java.time.Instant;

import org.jspecify.annotations.Nullable;

/**
 * The form of the messages on the wire. A bean of this type replaces the default,
 * {@link JsonMessageFormat}, in the service and in its client.
 */
public interface MessageFormat {

	/**
	 * What the header {@code content-type} of the messages says.
	 * @return a media type
	 */
	String contentType();

	/**
	 * A request as the value of a record; id and deadline are its key and a header.
	 * @param request to write
	 * @return its bytes
	 */
	byte[] write(TextRequest request);

	/**
	 * Reads a request. It comes from outside: nothing may be taken for granted.
	 * @param id the key of the record
	 * @param deadline from the headers
	 * @param value of the record
	 * @return the request
	 * @throws InvalidMessageException if it is none, or one of another version
	 */
	TextRequest readRequest(String id, @Nullable Instant deadline, byte[] value);

	/**
	 * A chunk as the value of a record.
	 * @param chunk to write
	 * @return its bytes
	 */
	byte[] write(TextChunk chunk);

	/**
	 * Reads a chunk, in which newer services may say more than this version knows.
	 * @param value of the record
	 * @return the chunk
	 * @throws InvalidMessageException if it is none, or one of another version
	 */
	TextChunk readChunk(byte[] value);

	/**
	 * A cancellation as the value of a record.
	 * @param cancel to write
	 * @return its bytes
	 */
	byte[] write(CancelRequest cancel);

	/**
	 * Reads the value of a cancellation.
	 * @param value of the record
	 * @return the cancellation
	 * @throws InvalidMessageException if it is none, or one of another version
	 */
	CancelRequest readCancel(byte[] value);

}
