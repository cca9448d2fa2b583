"""Files of products in, files of predictions out, in constant memory."""
